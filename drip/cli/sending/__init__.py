"""Commands that send, and deal with what comes back: the heading Sending of `drip --help`."""

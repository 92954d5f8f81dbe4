"""Commands that show what was, what is and what is to come: the heading Looking of `drip --help`."""

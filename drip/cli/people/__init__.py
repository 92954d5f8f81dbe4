"""Commands that add people, and change what becomes of them: the heading People of `drip --help`."""

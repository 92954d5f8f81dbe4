"""Commands that read the files of a project: the heading Files of `drip --help`."""

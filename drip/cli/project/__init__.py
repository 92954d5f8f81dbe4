"""Commands around it: servers, keys, the database, the manual. The heading Project of `drip --help`."""

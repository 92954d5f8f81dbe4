"""What is remembered: one SQLite file through peewee. SQL lives here and nowhere else; no rule of the domain does."""

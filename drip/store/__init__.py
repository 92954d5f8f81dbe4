"""What is remembered: in a SQLite file through peewee, or on a PostgreSQL server.

SQL lives here and nowhere else; no rule of the domain does.
"""

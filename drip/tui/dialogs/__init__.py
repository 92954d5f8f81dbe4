"""Questions to the user: each returns what was answered, or None."""

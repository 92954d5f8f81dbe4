"""Text in, message out: templates, bodies and the MIME writer. No network, no database, no clock."""

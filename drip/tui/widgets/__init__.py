"""What shows data; it is given its data and sends messages, and asks nobody."""

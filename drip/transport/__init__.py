"""How messages leave: through a mail server, or into files. Nothing here decides who gets what, or when."""

"""Use cases. They speak to store and transport only through `ports`; no SQL, no sockets, no files enter here."""

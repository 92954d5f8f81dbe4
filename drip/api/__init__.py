"""The HTTP API and the unsubscribe page. FastAPI and pydantic live here; no rule of the domain does."""

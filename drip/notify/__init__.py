"""Webhooks: signed, posted to addresses that may be posted to, tried again. Nothing here knows people or mail."""

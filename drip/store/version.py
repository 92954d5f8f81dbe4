"""Which schema this program knows."""

from __future__ import annotations

SCHEMA_VERSION = 4
"""The number of the newest file in `migrations/`."""

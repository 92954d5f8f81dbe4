"""Email sequences as code, for developers in a terminal."""

from __future__ import annotations

__version__ = "0.1.0"

"""What the engine needs from outside, as protocols; adapters in `store` and `transport` fulfil them."""

from __future__ import annotations

from drip.engine.ports.around import HighWater, Mark, Processes
from drip.engine.ports.sending import Desk, Envelope, Fleet, P, Parcel, Session, Transport
from drip.engine.ports.storage import Store

__all__ = [
    "Desk",
    "Envelope",
    "Fleet",
    "HighWater",
    "Mark",
    "P",
    "Parcel",
    "Processes",
    "Session",
    "Store",
    "Transport",
]

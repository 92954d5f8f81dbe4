"""Facts, as they are appended and never changed."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from drip.core.events import EventType
from drip.core.immutable import immutable


@immutable
class Event:
    """One fact."""

    type: EventType
    at: datetime
    sequence_id: int | None = None
    """The row's id, as the next two."""
    subscription_id: int | None = None
    step_id: int | None = None
    data: Mapping[str, Any] | None = None
    """What else there is to say, as JSON values."""

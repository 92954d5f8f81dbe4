"""Which keys do something, as the help and the command palette name them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from textual.binding import ActiveBinding
from textual.screen import Screen


def keys_of(screen: Screen[Any]) -> Iterator[ActiveBinding]:
    """The keys that do something named on a screen now, each action once."""
    seen = set()
    for active in screen.active_bindings.values():
        binding = active.binding
        named = binding.tooltip or active.tooltip
        if named and active.enabled and binding.action not in seen:
            seen.add(binding.action)
            yield active

"""The command palette: every action that has a key, by its name, every sequence, every person."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from functools import partial
from typing import Any

from textual.app import SystemCommand
from textual.await_complete import AwaitComplete
from textual.command import CommandList, CommandPalette, DiscoveryHit, Hit, Hits, Provider
from textual.screen import Screen

from drip.errors import DripError
from drip.tui.bindings import keys_of
from drip.tui.marks import mark, safe
from drip.tui.messages import PersonWanted, SequenceWanted
from drip.tui.screens.place import Place

SHORTEST = 2
"""Characters of an address that a search begins with."""


def commands_of(screen: Screen[Any]) -> Iterator[SystemCommand]:
    """They as commands."""
    for active in keys_of(screen):
        binding = active.binding
        if binding.action == "command_palette":
            continue
        run = partial(screen.app.run_action, binding.action, active.node)
        shown = binding.key_display or screen.app.get_key_display(binding)
        yield SystemCommand(binding.description, f"{binding.tooltip}  [{shown}]".replace("[", r"\["), run)


class Palette(CommandPalette):
    """Textual's, which a page down before there is anything to see would end, and all with it."""

    def __init__(self) -> None:
        # It is known to be open by this id.
        super().__init__(placeholder="a command, a sequence, or the beginning of an address", id="--command-palette")

    def dismiss(self, result: None = None) -> AwaitComplete:
        """As `LeftOnce`, whose styles are others."""
        return super().dismiss(result) if self.is_active else AwaitComplete()

    def _action_command_list(self, action: str) -> None:
        if self.query_one(CommandList).scrollable_content_region:
            super()._action_command_list(action)


class FindPerson(Provider):
    """People of all sequences, by the beginning of their address."""

    async def search(self, query: str) -> Hits:
        """Those whose address begins so, in each sequence that they stand in."""
        place = self.screen
        if not isinstance(place, Place) or len(query.strip()) < SHORTEST:
            return
        try:
            found = await asyncio.to_thread(place.desk.whereabouts, query.strip())
        except DripError:
            return  # the place itself says why the database can't be asked
        for email, slug, status in found:
            words = safe(f"{email} in {slug}")
            words.stylize("bold", 0, len(query.strip()))
            go = partial(place.post_message, PersonWanted(slug, email))
            yield Hit(1.0, words, go, help=mark(status.value).plain)


class GoTo(Provider):
    """Sequences by name."""

    async def discover(self) -> Hits:
        """All of them."""
        for slug in self._slugs():
            yield DiscoveryHit(safe(f"Go to {slug}"), partial(self._go, slug), f"Go to {slug}", "Open the sequence")

    async def search(self, query: str) -> Hits:
        """Those whose id is like what is typed."""
        matcher = self.matcher(query)
        for slug in self._slugs():
            if (score := matcher.match(f"Go to {slug}")) > 0:
                yield Hit(score, matcher.highlight(f"Go to {slug}"), partial(self._go, slug), help="Open the sequence")

    def _slugs(self) -> list[str]:
        from drip.tui.screens.home import HomeScreen

        for screen in self.app.get_screen_stack(self.app.DEFAULT_MODE):
            if isinstance(screen, HomeScreen):
                return [row.slug for row in screen.rows]
        return []

    def _go(self, slug: str) -> None:
        if isinstance(self.screen, Place):
            self.screen.post_message(SequenceWanted(slug))

"""What a worker does, told while it does it: a line each with `-v`, else a live count for whoever watches."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from drip.cli.invocation import Invocation
    from drip.engine.results import Fact


class Teller:
    """Outcomes as they come."""

    def __init__(self, invocation: Invocation, *, live: bool = True) -> None:
        from collections import Counter
        from contextlib import nullcontext

        from drip.cli.output import colours, progress

        self._verbose = invocation.verbose
        self._zone = invocation.zone
        self._counts: Counter[str] = Counter()
        self._bar = progress("sending", None) if live and colours(sys.stderr) and not self._verbose else nullcontext()
        self._shown: Any = None

    def __enter__(self) -> Teller:
        self._shown = self._bar.__enter__()
        return self

    def __exit__(self, *exc: Any) -> None:
        self._bar.__exit__(*exc)

    def tell(self, fact: Fact) -> None:
        """Called on the writer's thread."""
        if self._verbose:
            from drip.cli.output import clean, line

            why = " ".join(word for word in (fact.reason, fact.text) if word)
            words = f"{fact.kind:9} {fact.step}  {fact.claim.email}" + (f"  {why}" if why else "")
            line(clean(words), err=True)
        elif self._shown is not None:
            self._counts[fact.kind] += 1
            self._shown.say("  ".join(f"{kind} {number}" for kind, number in self._counts.items()))

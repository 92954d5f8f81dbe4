"""Hypothesis strategies for drip's values, for tests of any package."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

from hypothesis import strategies as st

from drip.core.address import Address
from drip.core.durations import LONGEST
from drip.core.sequence import (
    INHERIT,
    Definition,
    DelayFrom,
    Layout,
    Resubscribe,
    SendWindow,
    Sequence,
    SequenceStatus,
    Source,
    Step,
    Template,
    Variable,
)

ZONES = sorted(name for name in available_timezones() if not name.startswith(("Etc/", "posix", "right")))

zones = st.sampled_from(ZONES).map(ZoneInfo)
clock_times = st.times(max_value=time(23, 59)).map(lambda clock: clock.replace(second=0, microsecond=0))
# hypothesis takes naive bounds and adds the zone
moments = st.datetimes(datetime(2000, 1, 1), datetime(2037, 1, 1), timezones=st.just(UTC)).map(  # noqa: DTZ001
    lambda moment: moment.replace(microsecond=moment.microsecond // 1000 * 1000)
)
durations = st.integers(0, int(LONGEST.total_seconds())).map(lambda seconds: timedelta(seconds=seconds))
slugs = st.from_regex(r"[a-z0-9](?:[a-z0-9-]{0,20}[a-z0-9])?", fullmatch=True)
texts = st.text(max_size=40)
addresses = st.builds(Address, email=slugs.map(lambda slug: f"{slug}@example.com"), name=texts)
windows = st.builds(
    SendWindow,
    days=st.frozensets(st.integers(0, 6), min_size=1),
    opens=clock_times,
    closes=st.none() | clock_times,
)

_names = st.from_regex(r"[a-z_]{1,12}", fullmatch=True)
_scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts
json_values = st.recursive(
    _scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3), max_leaves=6
)

_sources = st.none() | texts
steps = st.builds(
    Step,
    key=slugs,
    delay=durations,
    subject=_sources,
    template=st.none() | slugs,
    body=_sources,
    html=_sources,
    text=_sources,
    at=st.none() | clock_times,
    when=_sources,
    send_window=st.just(INHERIT) | st.none() | windows,
    sender=st.none() | addresses,
    reply_to=st.none() | addresses,
    headers=st.lists(st.tuples(st.sampled_from(["X-Campaign", "X-Other", "Feedback-ID"]), texts), max_size=2).map(
        tuple
    ),
)
sequences = st.builds(
    Sequence,
    id=slugs,
    name=texts,
    status=st.sampled_from(SequenceStatus),
    steps=st.lists(steps, max_size=4, unique_by=lambda step: step.key).map(tuple),
    sender=st.none() | addresses,
    reply_to=st.none() | addresses,
    delay_from=st.sampled_from(DelayFrom),
    timezone=st.none() | st.sampled_from(ZONES),
    send_window=st.none() | windows,
    stale_after=st.just(INHERIT) | st.none() | durations,
    resubscribe=st.sampled_from(Resubscribe),
    stop_when=_sources,
    variables=st.dictionaries(
        _names, st.builds(Variable, default=json_values, required=st.booleans(), example=json_values), max_size=3
    ),
    layout=st.none() | slugs,
)


def _named(name: str) -> st.SearchStrategy[tuple[str, Template]]:
    template = st.builds(
        Template,
        name=st.just(name),
        subject=_sources,
        layout=st.none() | slugs,
        markdown=_sources,
        html=_sources,
        text=_sources,
        source=st.sampled_from(Source),
    )
    return template.map(lambda built: (name, built))


def _mapping(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    return dict(pairs)


definitions = st.builds(
    Definition,
    sequence=sequences,
    templates=st.lists(slugs.flatmap(_named), max_size=3).map(_mapping),
    layouts=st.dictionaries(slugs, texts, max_size=2).map(
        lambda sources: {name: Layout(name, html) for name, html in sources.items()}
    ),
)

"""Figures for Prometheus. What the database holds is asked when somebody looks; requests are counted as they come."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from starlette.types import Scope

from drip.api.context import Api
from drip.core.subscription import SubscriptionStatus

CONTENT_TYPE = CONTENT_TYPE_PLAIN_0_0_4
_BUCKETS = (0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0)


class Metrics:
    """One app's figures, in a registry of its own."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._requests = Counter(
            "drip_http_requests", "Requests answered.", ["method", "route", "status"], registry=self._registry
        )
        self._counters: dict[tuple[str, str, str], Counter] = {}
        """Looking one up in the library costs more than counting."""
        self._told = Counter(
            "drip_inbound_events",
            "What providers told, by what it was.",
            ["provider", "outcome"],
            registry=self._registry,
        )
        self._seconds = Histogram(
            "drip_http_request_seconds", "From the request to its answer.", registry=self._registry, buckets=_BUCKETS
        )
        self._people = Gauge("drip_subscriptions", "Standing subscriptions.", ["status"], registry=self._registry)
        self._deliveries = Gauge(
            "drip_deliveries", "Deliveries that are open or failed.", ["state"], registry=self._registry
        )
        self._due = Gauge("drip_due", "People who are due now.", registry=self._registry)
        self._sent_today = Gauge("drip_sent_today", "Messages accepted since midnight UTC.", registry=self._registry)
        self._workers = Gauge("drip_workers", "Processes that send.", registry=self._registry)

    def measured(self, scope: Scope, status: int, seconds: float) -> None:
        """Count a request. Its path is counted as the route it took: what people send makes no series."""
        route = getattr(scope.get("route"), "path_format", "none")
        method = scope["method"] if scope["method"] in _METHODS else "other"
        series = (method, route, str(status))
        counter = self._counters.get(series)
        if counter is None:
            counter = self._counters[series] = self._requests.labels(*series)
        counter.inc()
        self._seconds.observe(seconds)

    def told(self, provider: str, counts: Mapping[str, int]) -> None:
        """Count what a provider has told."""
        for outcome, count in counts.items():
            self._told.labels(provider, outcome).inc(count)

    async def render(self, api: Api) -> bytes:
        """The page that Prometheus reads."""
        state, people = await api.desk.read(lambda: (api.store.overview.state(api.clock()), dict(_people(api))))
        for status, count in people.items():
            self._people.labels(status).set(count)
        figures = {
            "sending": state.sending,
            "unknown": state.unknown,
            "failed": state.failed,
            "deferred": sum(state.deferred.values()),
        }
        for name, count in figures.items():
            self._deliveries.labels(name).set(count)
        self._due.set(state.due_now)
        self._sent_today.set(state.sent_today)
        self._workers.set(state.workers)
        return bytes(generate_latest(self._registry))


_METHODS = frozenset({"GET", "HEAD", "POST", "PATCH", "PUT", "DELETE", "OPTIONS"})


def _people(api: Api) -> Iterator[tuple[str, int]]:
    counts = [one.by_status for one in api.store.overview.counts().values()]
    for status in SubscriptionStatus:
        yield status.value, sum(one[status] for one in counts)

"""Figures for Prometheus: what is owed, what became of it, and how late the loop is.

Every label is one of a few words of ours; no figure is about a person. A stall is a moment in which nothing else could run: the loop is
asked to come back after TICK_S, and how much later it did is its lateness. Over STALL_S it is counted.
"""

import asyncio
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, make_asgi_app
from starlette.types import ASGIApp

from mailgate.runtime import KeptClock
from mailgate.store import backlog
from mailgate.store.db import Tx

TICK_S: Final = 0.02
STALL_S: Final = 0.05
_BUCKETS: Final = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 5.0)


class Metrics:
    """The figures of one process."""

    def __init__(self, clock: KeptClock) -> None:
        self._clock = clock
        self._registry = CollectorRegistry()
        self._lateness = Histogram(
            "mailgate_loop_lateness_seconds",
            "How much later than asked the event loop came back.",
            registry=self._registry,
            buckets=_BUCKETS,
        )
        self._stalls = Counter(
            "mailgate_loop_stalls", f"How often it was later than {STALL_S} s.", registry=self._registry
        )
        self._deliveries = Gauge(
            "mailgate_deliveries", "Deliveries in the outbox.", ("lane", "state"), registry=self._registry
        )
        self._oldest = Gauge(
            "mailgate_oldest_pending_seconds", "How long the oldest pending delivery has waited.", registry=self._registry
        )
        off = Gauge(
            "mailgate_clock_doubt_seconds",
            "How far ahead the machine's clock is, if it is not believed.",
            registry=self._registry,
        )
        off.set_function(lambda: clock.doubt() / 1e6)

    @property
    def app(self) -> ASGIApp:
        """What answers Prometheus."""
        return make_asgi_app(registry=self._registry)

    async def watch_loop(self, stop: asyncio.Event) -> None:
        """Measure the loop's lateness until told to stop."""
        while not stop.is_set():
            asked = self._clock.monotonic()
            await asyncio.sleep(TICK_S)
            self.note_lateness(self._clock.monotonic() - asked - TICK_S)

    def note_lateness(self, seconds: float) -> None:
        """One measurement."""
        self._lateness.observe(max(0.0, seconds))
        if seconds > STALL_S:
            self._stalls.inc()

    async def read_outbox(self, tx: Tx) -> None:
        """Take over how many deliveries stand where."""
        counts = await backlog.counts(tx)
        for lane, by_state in counts.by_lane.items():
            for state, count in by_state.items():
                self._deliveries.labels(lane=lane, state=state).set(count)
        oldest = await backlog.oldest_pending(tx)
        self._oldest.set(0 if oldest is None else max(0, self._clock.now() - oldest) / 1e6)

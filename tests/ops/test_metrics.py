"""Figures: what Prometheus reads, and what counts as a stall."""

import asyncio

import httpx

from mailgate.core.instants import HOUR, SECOND
from mailgate.ops.metrics import STALL_S, Metrics
from tests.fakes import FakeClock


async def read(metrics: Metrics) -> dict[str, float]:
    transport = httpx.ASGITransport(app=metrics.app)
    async with httpx.AsyncClient(transport=transport, base_url="http://metrics") as http:
        text = (await http.get("/")).text
    return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in text.splitlines() if line[0] != "#")}


async def test_a_stall_is_what_is_later_than_fifty_milliseconds() -> None:
    metrics = Metrics(FakeClock())
    for seconds in (-0.001, 0.001, STALL_S, STALL_S + 0.001, 2.0):
        metrics.note_lateness(seconds)
    figures = await read(metrics)
    assert figures["mailgate_loop_stalls_total"] == 2
    assert figures["mailgate_loop_lateness_seconds_count"] == 5


async def test_watching_ends_when_told() -> None:
    metrics, stop = Metrics(FakeClock()), asyncio.Event()
    watching = asyncio.create_task(metrics.watch_loop(stop))
    await asyncio.sleep(0.05)
    stop.set()
    async with asyncio.timeout(5):
        await watching
    assert (await read(metrics))["mailgate_loop_lateness_seconds_count"] >= 1


async def test_a_clock_that_is_not_believed_is_shown_while_it_is_not() -> None:
    class Doubtful(FakeClock):
        off = 0

        def doubt(self) -> int:
            return self.off

    clock = Doubtful()
    metrics = Metrics(clock)
    for off in (0, -HOUR, 0):
        clock.off = off
        assert (await read(metrics))["mailgate_clock_doubt_seconds"] == off / SECOND

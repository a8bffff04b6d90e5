"""Who takes mail in: our gate and Postfix's smtpd, one mail a session and 16 sessions at once, on the disk before 250. And how long a blank
mail's way is until its invitation is at the next server.

Ours is the whole journey of a blank mail: its address sealed into a row, its invitation made and owed, one COMMIT. Each visitor comes
once, from an address of his own, so that no limit spares us work. smtp-source has one sender only, so it cannot be our visitor; Postfix
is measured with the same visitors and with smtp-source too, and the better of the two is what we are held against.
"""

import asyncio
import math
import time
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Final

from bench.figures import percentile
from bench.gates import visitor
from bench.ground import SESSIONS, Ground, missing_tools
from bench.postfix import available, postfix
from bench.processes import worker
from bench.senders import Figures, source
from bench.sink import Arrivals
from bench.visitors import Visitors

_WARM_UP: Final = 50
_OVERDUE_S: Final = 20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class GateTakes:
    """Our listener; with the sender, the invitations leave meanwhile."""

    key: str
    title: str
    sends: bool

    def missing(self) -> str | None:
        return missing_tools() if self.sends else None

    async def once(self, ground: Ground) -> Figures:
        async with AsyncExitStack() as stack:
            folder = await stack.enter_async_context(ground.gate())
            if self.sends:
                folder.set_relay(await stack.enter_async_context(ground.sink()), connections=SESSIONS)
            gate = await stack.enter_async_context(worker("gate", "serve" if self.sends else "listen", folder.path, log=ground.log))
            return await _crowd((await gate.hear())["port"], ground.sizes.visitors)


async def _crowd(port: int, count: int) -> Figures:
    visitors = await _warmed_up(port)
    return {"rate": count / await visitors.crowd(count, at_once=SESSIONS)}


async def _warmed_up(port: int) -> Visitors:
    """Visitors who are not the first: what is done once has been done."""
    visitors = Visitors(port)
    await visitors.crowd(_WARM_UP, at_once=SESSIONS)
    return visitors.others()


@dataclass(frozen=True, slots=True, kw_only=True)
class PostfixTakes:
    """Postfix's smtpd; the mails stay in its queue."""

    key: str
    title: str
    by_source: bool  # else by our visitors

    def missing(self) -> str | None:
        return available() or (missing_tools() if self.by_source else None)

    async def once(self, ground: Ground) -> Figures:
        count = ground.sizes.visitors
        async with postfix(ground.new("postfix"), relay=9) as server:
            if not self.by_source:
                return await _crowd(server.port, count)
            await source(server.port, _WARM_UP, kept=False)
            return {"rate": count / await source(server.port, count, kept=False)}


class RoundTrips:
    """From a guardian's connecting until his invitation is at the next server."""

    key, title = "trip", "blank mail to invitation at the next server"

    def missing(self) -> str | None:
        return None

    async def once(self, ground: Ground) -> Figures:
        arrivals = Arrivals()
        port = await arrivals.listen()
        figures: dict[str, float] = {}
        try:
            async with ground.gate() as folder:
                folder.set_relay(port, connections=SESSIONS)
                async with worker("gate", "serve", folder.path, log=ground.log) as gate:
                    visitors = await _warmed_up((await gate.hear())["port"])
                    for rate, count in ground.sizes.strokes:
                        visitors = visitors.others()
                        await visitors.clockwork(count, each_s=1 / rate)
                        figures |= _percentiles(rate, await _trips(visitors, arrivals))
        finally:
            arrivals.close()
        return figures


async def _trips(visitors: Visitors, arrivals: Arrivals) -> list[float]:
    """How many seconds each visitor waited for his invitation; without end if he was turned away (421: there were too many)."""
    deadline = time.perf_counter() + _OVERDUE_S
    while not all(visitor(number) in arrivals.at for number in visitors.accepted):
        if time.perf_counter() > deadline:
            raise TimeoutError("an invitation did not come")
        await asyncio.sleep(0.05)
    return [arrivals.at.get(visitor(number), math.inf) - began for number, began in visitors.began.items()]


class BareTrips:
    """The same mails brought to something that only calls fsync."""

    key, title = "bare", "bare SMTP exchange with an fsync"

    def missing(self) -> str | None:
        return None

    async def once(self, ground: Ground) -> Figures:
        figures: dict[str, float] = {}
        async with worker("sink", ground.path, log=ground.log) as bare:
            visitors = await _warmed_up((await bare.hear())["port"])
            for rate, count in ground.sizes.strokes:
                visitors = visitors.others()
                await visitors.clockwork(count, each_s=1 / rate)
                times = [visitors.accepted.get(number, math.inf) - began for number, began in visitors.began.items()]
                figures |= _percentiles(rate, times)
        return figures


def _percentiles(rate: int, times: list[float]) -> Figures:
    return {f"p50_{rate}": percentile(times, 0.5) * 1e3, f"p99_{rate}": percentile(times, 0.99) * 1e3}

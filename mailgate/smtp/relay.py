"""The way out: copies handed to the next server over connections that stay open.

- A connection takes its next copy itself when the last one has ended: there is no task and no future for a copy. Connections open as there
  is work for them, up to as many as are set; a task opens one, with its first copy in hand.
- One recipient in each transaction (MR-38). What goes out between the brackets is the copy's recipient; commands are written by us, and
  both ends are read by our own rule first (MR-43).
- When the server cannot be reached, the copy is given back as put off before any copy was named, and the place of that connection rests,
  longer each time; others go on. When nobody gets through, a standby has its turn (core.standby).
- What the server has taken cannot be halted any more, so one that is slower than we are is given no more than a set rate (core.pace).
- Whatever was taken is answered exactly once. What `close` cuts off is answered CUT.
"""

import asyncio
import contextlib
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass
from typing import Final

import structlog

from mailgate.core.addresses import is_spec
from mailgate.core.pace import Pace
from mailgate.core.relay import CUT, Copy, Deferred, Outcome, Phase, Refused, Source
from mailgate.core.standby import Standby
from mailgate.smtp.connection import Connection, Server
from mailgate.smtp.opening import FAULTS, NextServer, Opened, Opening, Patience, outcome_of, tls_context

log = structlog.get_logger()

_NOT_OURS: Final = Refused(phase=Phase.INTERNAL, code=None, enhanced=None, text="the envelope is not one that we send")
_CUTTING_S: Final = 1.0  # transports say within a turn of the loop that they are closed


@dataclass(slots=True, eq=False)
class _Place:
    """Room for one connection."""

    away: int = 0  # how often in a row the server was not there


class SmtpRelay:
    """A relay (core.relay.Relay) that speaks SMTP."""

    def __init__(
        self,
        servers: Sequence[NextServer],
        *,
        connections: int = 16,
        rate: float = 0,
        overlap: bool = False,
        patience: Patience | None = None,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._servers = [Server(at, line, tls_context(at)) for line, at in enumerate(servers)]
        self._patience = patience or Patience()
        self._standby = Standby(len(servers), away_s=self._patience.away)
        self._pace = Pace(rate) if rate else None
        self._overlap = overlap
        self._source: Source | None = None
        # Places, each in one of three: nobody there, resting because the server was away, or with a connection (or a task that opens one).
        self._shut = [_Place() for _ in range(connections)]
        self._resting: dict[_Place, asyncio.TimerHandle] = {}
        self._open: dict[Connection, _Place | None] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._idle: list[Connection] = []  # the one used last is used next, so that a lull lets the others go
        self._pacing: asyncio.TimerHandle | None = None
        self._looking: asyncio.TimerHandle | None = None
        self._closing = False
        self._all_shut = asyncio.Event()

    def start(self, source: Source) -> None:
        """Take copies from there from now on."""
        self._source = source
        self.nudge()

    def nudge(self) -> None:
        """There may be something to take."""
        while self._finds_idle() or self._shut:
            copy = self._next()
            if copy is None:
                return
            if self._idle:
                self._idle.pop().carry(copy)
            else:
                self._fill(self._shut.pop(), copy)

    async def close(self, grace_s: float) -> None:
        """Take no more, let end what is under way within so many seconds, then cut it off; what was taken has been answered then."""
        self._closing = True
        for timer in (self._pacing, self._looking, *self._resting.values()):
            if timer is not None:
                timer.cancel()
        while self._finds_idle():
            self._idle.pop().part()
        self._end_of_something()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(grace_s):
                await self._all_shut.wait()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for connection in [*self._open]:
            connection.cut()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_CUTTING_S):
                await self._all_shut.wait()

    # Taking

    def _next(self) -> Copy | None:
        """The next copy that may go out now."""
        if self._source is None or self._closing or (self._pace is not None and self._is_paced(self._pace)):
            return None
        while (copy := self._source.take()) is not None:
            if is_spec(copy.sender) and is_spec(copy.recipient):
                if self._pace is not None:
                    self._pace.spend(self._loop.time())
                return copy
            self.ended(copy, _NOT_OURS)
        return None

    def _is_paced(self, pace: Pace) -> bool:
        """It is too early for one more. Then we look again when it is not."""
        wait_s = pace.wait_s(self._loop.time())
        if wait_s and self._pacing is None:
            self._pacing = self._loop.call_later(wait_s, self._look_again)
        return wait_s > 0

    def _look_again(self) -> None:
        self._pacing = None
        self.nudge()

    def _finds_idle(self) -> bool:
        while self._idle and not self._idle[-1].is_ready:  # lost or given up since it was put there
            self._idle.pop()
        return bool(self._idle)

    # What a connection asks (connection.Desk)

    def next_for(self, connection: Connection) -> Copy | None:
        """What it carries next."""
        return None if self._is_to_part(connection) else self._next()

    def ended(self, copy: Copy, outcome: Outcome) -> None:
        """What became of a copy."""
        assert self._source is not None
        self._source.done(copy, outcome)

    def rests(self, connection: Connection) -> None:
        """It has nothing to carry."""
        if self._closing or self._is_to_part(connection):
            connection.part()
        else:
            self._idle.append(connection)

    def lost(self, connection: Connection, left: Copy | None) -> None:
        """It is no more."""
        connection.server.open -= 1
        place = self._open.pop(connection)
        if left is not None and place is not None and not self._closing:
            self._fill(place, left)
            return
        if left is not None:
            self.ended(left, CUT)
        if place is not None:
            self._shut.append(place)
        self._end_of_something()
        self.nudge()

    def _is_to_part(self, connection: Connection) -> bool:
        return connection.is_worn or connection.server.line != self._standby.turn

    # Opening

    def _fill(self, place: _Place, copy: Copy) -> None:
        self._run(self._bring(self._servers[self._standby.turn], place, copy))

    async def _bring(self, server: Server, place: _Place, copy: Copy) -> None:
        """Open a connection for a copy."""
        begun = self._loop.time()
        opening = Opening(server.at, self._patience, server.tls)
        try:
            opened = await opening.run()
        except FAULTS as error:
            self.ended(copy, outcome_of(error, phase=opening.phase))
            self._was_away(server, place, begun)
        except BaseException as error:
            self._shut.append(place)
            is_ours = not isinstance(error, asyncio.CancelledError)
            self.ended(copy, Deferred(phase=Phase.INTERNAL, code=None, enhanced=None, text=type(error).__name__) if is_ours else CUT)
            raise
        else:
            place.away = 0
            self._connected(server, opened, place).carry(copy)

    def _connected(self, server: Server, opened: Opened, place: _Place | None) -> Connection:
        connection = Connection(server, opened, self, self._patience, overlap=self._overlap)
        self._open[connection] = place
        server.open += 1
        if self._standby.reached(server.line):
            self._turned()
        return connection

    def _was_away(self, server: Server, place: _Place, begun: float) -> None:
        if self._standby.failed(server.line, begun=begun, now=self._loop.time(), in_use=server.open > 0):
            self._turned()
        rests, place.away = self._patience.rests, place.away + 1
        self._resting[place] = self._loop.call_later(rests[min(place.away, len(rests)) - 1], self._rested, place)
        if server.line != self._standby.turn:
            self._all_rested()

    def _rested(self, place: _Place) -> None:
        del self._resting[place]
        self._shut.append(place)
        self.nudge()

    def _turned(self) -> None:
        """Another server has the turn. What is idle at the one before says goodbye."""
        log.warning("relay.turned", server=self._standby.turn)
        while self._finds_idle():
            self._idle.pop().part()
        self._all_rested()
        self._look_for_first_later()

    def _all_rested(self) -> None:
        """Nobody rests for a server that does not have the turn."""
        for place, timer in self._resting.items():
            timer.cancel()
            place.away = 0
            self._shut.append(place)
        self._resting.clear()
        self._loop.call_soon(self.nudge)

    def _look_for_first_later(self) -> None:
        if self._standby.turn and self._looking is None and not self._closing:
            self._looking = self._loop.call_later(self._patience.look, lambda: self._run(self._look_for_first()))

    async def _look_for_first(self) -> None:
        """While another one has the turn: is the first there again?"""
        first = self._servers[0]
        try:
            opened = await Opening(first.at, self._patience, first.tls).run()
        except FAULTS:
            pass
        else:
            self._connected(first, opened, None).part()
        finally:
            self._looking = None
        self._look_for_first_later()

    def _run(self, work: Coroutine[None, None, None]) -> None:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ran)

    def _ran(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._end_of_something()

    def _end_of_something(self) -> None:
        if self._closing and not self._open and not self._tasks:
            self._all_shut.set()

"""Fakes for what only the outside has: time, chance and the next server. They are few, and each keeps the promises of the real one."""

import asyncio
import contextlib
from collections.abc import Callable, Iterable

from argon2 import PasswordHasher

from mailgate.core.instants import SECOND, Instant
from mailgate.core.relay import CUT, Accepted, Copy, Outcome, Source
from mailgate.core.timekeeping import Moment
from mailgate.journeys.passwords import Passwords

NEW_YEAR_2026 = Instant(1_767_193_200 * SECOND)  # 2026-01-01 00:00 in Tokyo


class FakeClock:
    """A clock (runtime.KeptClock) that stands still until it is told. The machine's, which nobody sees, is always right."""

    def __init__(self, now: Instant = NEW_YEAR_2026) -> None:
        self._now = now
        self._monotonic = 0.0

    def now(self) -> Instant:
        return self._now

    def monotonic(self) -> float:
        return self._monotonic

    def moment(self) -> Moment:
        return Moment(at=self._now, boot="", uptime=int(self._monotonic * SECOND))

    def doubt(self) -> int:
        return 0

    def pass_(self, microseconds: int) -> None:
        """Let time pass."""
        self._now = Instant(self._now + microseconds)
        self._monotonic += microseconds / SECOND

    def set(self, now: Instant) -> None:
        """Let somebody set the clock: no time passes by it."""
        self._now = now


class FixedDice:
    """Dice (runtime.Dice) that draw 1, 2, 3 ... and never jitter, unless told."""

    def __init__(self, *, jitter: float = 0.0) -> None:
        self._drawn = 0
        self._jitter = jitter

    def octets(self, count: int) -> bytes:
        return self._next().to_bytes(count, "big")

    def row_id(self) -> int:
        return self._next()

    def text(self, alphabet: str, count: int) -> str:
        drawn, letters = self._next(), []
        for _ in range(count):
            drawn, letter = divmod(drawn, len(alphabet))
            letters.append(alphabet[letter])
        return "".join(reversed(letters))

    def jitter(self) -> float:
        return self._jitter

    def _next(self) -> int:
        self._drawn += 1
        return self._drawn


class CheapPasswords(Passwords):
    """The real thing at the least that argon2 takes: a test has no time to be slow on purpose."""

    def __init__(self) -> None:
        super().__init__()
        self._hasher = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)


ACCEPTED = Accepted(code=250, text="2.0.0 ok")

Answer = Outcome | Callable[[Copy], Outcome]


class ScriptedRelay:
    """A relay (core.relay.Relay) that answers as it is told and then accepts; `taken` are the copies it took, in order.

    `hold()` lets it take copies without answering, until `let_go()`. It may be started again after it was closed.
    """

    def __init__(self, answers: Iterable[Answer] = (), *, connections: int = 16) -> None:
        self._answers = list(answers)
        self.connections = connections
        self._source: Source | None = None
        self._under_way: dict[int, Copy] = {}  # by its number in `taken`
        self._holds = False
        self._news = asyncio.Event()
        self.taken: list[Copy] = []
        self.most_under_way = 0
        self.is_closed = False

    @property
    def under_way(self) -> int:
        return len(self._under_way)

    def hold(self) -> None:
        """Answer nobody from now on."""
        self._holds = True

    def let_go(self) -> None:
        """Answer everybody again."""
        self._holds = False
        for number in list(self._under_way):
            self._answer(number)

    async def came(self, count: int) -> None:
        """Wait until so many copies were taken."""
        while len(self.taken) < count:
            self._news.clear()
            await self._news.wait()

    def start(self, source: Source) -> None:
        self._source, self.is_closed = source, False
        self.nudge()

    def nudge(self) -> None:
        while self._source is not None and not self.is_closed and self.under_way < self.connections:
            copy = self._source.take()
            if copy is None:
                return
            self.taken.append(copy)
            self._under_way[len(self.taken)] = copy
            self.most_under_way = max(self.most_under_way, self.under_way)
            self._news.set()
            asyncio.get_running_loop().call_soon(self._answer, len(self.taken))

    async def close(self, grace_s: float) -> None:
        self.is_closed = True
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(grace_s):
                while self._under_way:
                    self._news.clear()
                    await self._news.wait()
        for number in list(self._under_way):
            self._done(number, CUT)

    def _answer(self, number: int) -> None:
        if self._holds or number not in self._under_way:
            return
        answer = self._answers.pop(0) if self._answers else ACCEPTED
        self._done(number, answer(self._under_way[number]) if callable(answer) else answer)
        self.nudge()

    def _done(self, number: int, outcome: Outcome) -> None:
        assert self._source is not None
        self._source.done(self._under_way.pop(number), outcome)
        self._news.set()

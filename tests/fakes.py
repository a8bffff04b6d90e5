"""Fakes for what only the outside has: time, chance and the next server. They are few, and each keeps the promises of the real one."""

import asyncio
from collections.abc import Callable, Iterable

from argon2 import PasswordHasher

from mailgate.core.instants import SECOND, Instant
from mailgate.core.relay import Accepted, Copy, Outcome
from mailgate.journeys.passwords import Passwords

NEW_YEAR_2026 = Instant(1_767_193_200 * SECOND)  # 2026-01-01 00:00 in Tokyo


class FakeClock:
    """A clock (runtime.Clock) that stands still until it is told."""

    def __init__(self, now: Instant = NEW_YEAR_2026) -> None:
        self._now = now
        self._monotonic = 0.0

    def now(self) -> Instant:
        return self._now

    def monotonic(self) -> float:
        return self._monotonic

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

Answer = Outcome | BaseException | Callable[[Copy], Outcome]


class ScriptedRelay:
    """A relay (core.relay.Relay) that answers as it is told and then accepts; `taken` are the copies it was given, in order.

    `hold()` lets it take copies without answering, until `let_go()`.
    """

    def __init__(self, answers: Iterable[Answer] = ()) -> None:
        self._answers = list(answers)
        self._open = asyncio.Event()
        self._open.set()
        self._came = asyncio.Condition()
        self.taken: list[Copy] = []
        self.under_way = 0
        self.most_under_way = 0
        self.is_closed = False

    @property
    def recipients(self) -> list[str]:
        return [copy.recipient for copy in self.taken]

    def hold(self) -> None:
        """Answer nobody from now on."""
        self._open.clear()

    def let_go(self) -> None:
        """Answer everybody again."""
        self._open.set()

    async def came(self, count: int) -> None:
        """Wait until so many copies were handed over."""
        async with self._came:
            await self._came.wait_for(lambda: len(self.taken) >= count)

    async def hand_over(self, copy: Copy) -> Outcome:
        answer = self._answers.pop(0) if self._answers else ACCEPTED
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)
        async with self._came:
            self.taken.append(copy)
            self._came.notify_all()
        try:
            await self._open.wait()
        finally:
            self.under_way -= 1
        match answer:
            case BaseException():
                raise answer
            case Accepted() as outcome:
                return outcome
            case _ if callable(answer):
                return answer(copy)
            case _:
                return answer

    async def close(self) -> None:
        self.is_closed = True

"""A gate with all that surrounds it: the sink behind it, those outside, what was promised to them, and the judge."""

import asyncio
import sqlite3
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path
from random import Random
from typing import Final, Self

from tests.crash.peers import Peers
from tests.crash.record import NextServer
from tests.crash.traffic import Moment, Traffic
from tests.crash.verdict import Judge, Verdict
from tests.crash.victim import SPLIT, Side, Victim

# A broadcast to the city is expanded by this many at a time: 50,000 at once would leave no middle of it to be struck in.
CHUNK: Final = "mailgate.journeys.life.EXPANSION_CHUNK"


class City:
    """One folder. It is made and its gate started on entering; on leaving, nothing runs any more."""

    def __init__(
        self,
        folder: Path,
        template: Path,
        *,
        sides: tuple[Side, ...] = SPLIT,
        constants: Mapping[str, object] | None = None,
        dice: Random | None = None,
        gate: Path | None = None,  # on another disk
        passes: Callable[[Moment], None] = lambda _: None,
    ) -> None:
        self._template = template
        self._dice = dice or Random(0)
        self._passes = passes
        self.server = NextServer(folder / "sink")
        self.victim = Victim(
            gate or folder / "gate", notes=folder / "gate", sides=sides, constants={CHUNK: 200, **(constants or {})}
        )
        self.peers = Peers(self.victim)

    async def __aenter__(self) -> Self:
        try:
            await self._found()
        except BaseException:
            await self.__aexit__()
            raise
        return self

    async def _found(self) -> None:
        self.victim.make(self._template, relay=await self.server.start())
        self.judge = Judge(self.victim.config, self.victim.database)
        self.traffic = Traffic(
            self.peers, self.server.record, code=_code(self.victim.database), dice=self._dice, passes=self._passes
        )
        await self.victim.start()

    async def __aexit__(self, *_: object) -> None:
        await self.victim.end()
        await self.peers.close()
        await self.server.stop()

    async def settled(self, *, within_s: float = 60) -> None:
        """Wait until nothing is owed."""
        deadline = time.monotonic() + within_s
        while owed := self.judge.owed():
            assert time.monotonic() < deadline, f"{owed} still owed after {within_s} s: {dict(self.judge.outbox())}"
            await asyncio.sleep(0.05)

    async def copies(self, count: int) -> None:
        """Wait until the sink has so many more copies."""
        record = self.server.record
        record.read_on()
        goal = len(record.copies) + count
        await record.until(lambda: len(record.copies) >= goal)

    def verdict(self) -> Verdict:
        return self.judge.judge(self.server.record, self.traffic.promises)


async def pause(seconds: float) -> None:
    """Let time go by where time itself is the condition: a lease that runs out, a process that stands still."""
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        await asyncio.sleep(min(left, 0.2))


def _code(database: Path) -> str:
    """The registration code of the school where guardians register here."""
    with closing(sqlite3.connect(database)) as db:
        (code,) = db.execute(
            "SELECT c.code FROM registration_code c JOIN school s ON s.id = c.school_id WHERE s.slug = 'kita-es' AND c.valid_to IS NULL"
        ).fetchone()
        return str(code)

"""Care: what the sender remembers of its starts, and how many rows it claims at a time (core.care)."""

from collections.abc import Sequence

import structlog

from mailgate.core.care import ENOUGH, must_be_careful
from mailgate.core.delivery import State
from mailgate.core.instants import Instant
from mailgate.runtime import Clock
from mailgate.store import lives, outbox
from mailgate.store.db import Db, Tx
from mailgate.store.outbox import Claimed

log = structlog.get_logger()

_OUT = frozenset({State.HANDED_OVER, State.DELIVERED, State.BOUNCED})


class Care:
    """One life of the sender; `is_careful`: it takes one row at a time."""

    def __init__(self, *, db: Db, clock: Clock) -> None:
        self._db = db
        self._clock = clock
        self._life: int | None = None
        self.is_careful = False
        self._alone: int | None = None  # the row that was claimed last
        self._gone_out = 0

    async def begin(self, tx: Tx, *, now: Instant) -> None:
        """The sender starts."""
        self.is_careful = must_be_careful(await lives.last_lives(tx), now=now)
        self._life = await lives.begin_life(tx, careful=self.is_careful, now=now)
        if self.is_careful:
            log.error("sender.careful")

    async def end(self) -> None:
        """It ends in order."""
        if self._life is not None:
            async with self._db.write() as tx:
                await lives.end_life(tx, self._life, now=self._clock.now())

    async def at_most(self, limit: int) -> int:
        """How many rows may be claimed, of so many that the sender would like."""
        if not self.is_careful:
            return limit
        if self._alone is not None:
            async with self._db.read() as tx:
                row = await outbox.by_id(tx, self._alone)
            if row is not None and row["state"] == State.LEASED:
                return 0
            self._gone_out += row is not None and row["state"] in _OUT
            self._alone = None
        if self._gone_out < ENOUGH:
            return min(limit, 1)
        if self._life is not None:
            async with self._db.write() as tx:
                await lives.end_care(tx, self._life)
        self.is_careful = False
        log.info("sender.reassured")
        return limit

    def claimed(self, rows: Sequence[Claimed]) -> None:
        """What was claimed: if this process dies of a copy, the log says of which."""
        if self.is_careful:
            for row in rows:
                self._alone = row.id
                log.info("delivery.singled_out", delivery=row.id)

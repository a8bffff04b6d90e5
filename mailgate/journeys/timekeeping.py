"""Timekeeping: the time that the gate has lived through is written down, a clock that is wrong is told of, and a person may set it right.

The mail side writes, every few seconds; every process begins by what is written. What of the machine's clock is believed is decided in
core.timekeeping, and told by ADR 8.
"""

from dataclasses import replace
from typing import Final

import structlog

from mailgate.core.instants import SECOND
from mailgate.core.timekeeping import Moment, TimeUnknown, begin, is_same_boot, shift_of_owed
from mailgate.runtime import KeptClock, SteadyClock, SystemClock
from mailgate.store import audit, moments
from mailgate.store.db import Db, Tx

log = structlog.get_logger()

LOOK_EVERY_S: Final = 1.0
_KEPT_EVERY_S: Final = 10.0
_TOLD_EVERY_S: Final = 3600.0


async def begun(tx: Tx, machine: SystemClock) -> SteadyClock:
    """The gate's time, going on from the last record.

    Raises:
        TimeUnknown: a person must say what time it is.
    """
    now = machine.moment()
    return SteadyClock(machine, begin(await _last(tx, now), now))


async def _last(tx: Tx, now: Moment) -> Moment | None:
    kept = await moments.last_moment(tx)
    if kept is None or is_same_boot(kept, now):
        return kept
    return replace(kept, at=await moments.last_lived(tx, kept))


async def compared(tx: Tx, machine: SystemClock) -> tuple[Moment, Moment | None]:
    """What the machine says, and the gate's time by its side; None: nobody knows what time it is."""
    now = machine.moment()
    try:
        return now, (await begun(tx, machine)).moment()
    except TimeUnknown:
        return now, None


async def believe(tx: Tx, now: Moment) -> int:
    """Take the machine's clock for right. No process of this gate may run. How many deliveries had their ends moved."""
    last = await _last(tx, now)
    shift = 0 if last is None else shift_of_owed(last, now)
    moved = await moments.shift_owed(tx, shift) if shift else 0
    await moments.keep_moment(tx, now)
    detail: dict[str, object] = {"shift_s": shift // SECOND, "deliveries": moved}
    await audit.record(tx, at=now.at, actor="operator", event="clock.believed", subject="clock", detail=detail)
    return moved


class Timekeeper:
    """Looks at the clock of one process; the one that `keeps` writes down what time it is."""

    def __init__(self, *, db: Db, clock: KeptClock, keeps: bool) -> None:
        self._db = db
        self._clock = clock
        self._keeps = keeps
        self._kept_at: float | None = None
        self._told_at: float | None = None

    async def look(self) -> None:
        """One look."""
        now = self._clock.monotonic()
        self._tell(now)
        if self._keeps and (self._kept_at is None or now - self._kept_at >= _KEPT_EVERY_S):
            moment = self._clock.moment()
            async with self._db.write() as tx:
                await moments.keep_moment(tx, moment)
            self._kept_at = now

    def _tell(self, now: float) -> None:
        off = self._clock.doubt()
        if not off and self._told_at is not None:
            self._told_at = None
            log.info("clock.agreed")
        elif off and (self._told_at is None or now - self._told_at >= _TOLD_EVERY_S):
            self._told_at = now
            log.error("clock.doubted", off_s=off // SECOND)

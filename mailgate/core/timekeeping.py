"""Timekeeping: how far the machine's clock is believed (MR-60, docs/adr/0008).

The gate's time goes on with what the machine knows surely, how long it has been up, and follows the clock on its wall where that says
nearly the same. Rules:

- It never goes back.
- What is put right by a minute or less is believed: forth at once, back by going at half speed until the clock has caught up.
- A jump is not believed, however long it stands: a wrong clock stands as firmly as a right one. A person says which it is.
- Over a restart of the program nothing changes: on the machine's same boot, the time since the last record is known.
- Over a boot it is not known how long the machine was off. A clock behind the record is wrong, and time goes on from there; one up to two
  days ahead is believed, also when it comes to that only within the boot's first hour (a machine without a battery asks the network);
  and with one further ahead nobody knows what time it is. Then nothing may happen, since all that is owed would expire, and all that
  can be undone or confirmed would lapse.
"""

from dataclasses import dataclass, replace
from typing import Final

from mailgate.core.instants import DAY, HOUR, MINUTE, Instant, later, to_datetime

STEP: Final = MINUTE
MISSED: Final = 2 * DAY  # of the three days that ordinary mail lives
SETTLING: Final = HOUR
NO_LIMIT: Final = Instant(0)  # nothing is so far ahead that it is still believed
_DRIFT: Final = 1_000  # one part in so many, for times in which nobody looked at the clock
_SLOWED: Final = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """What time it was, by which boot of the machine ("": not known), and how long that had been up.

    `limit`: how far the clock may still jump forth while the boot settles.
    """

    at: Instant
    boot: str
    uptime: int
    limit: Instant = NO_LIMIT


class TimeUnknown(Exception):
    """The clock is too far ahead of when the gate was last alive: it may be wrong, or the machine was off so long."""

    def __init__(self, *, wall: Instant, last: Instant) -> None:
        says, lived = (to_datetime(instant).strftime("%Y-%m-%dT%H:%M:%SZ") for instant in (wall, last))
        super().__init__(
            f"the machine's clock says {says}, and this gate was last alive at {lived}: nothing is done until it is known what time it is. "
            "Set the clock; if it is right, run `mailgate clock believe`"
        )
        self.wall = wall
        self.last = last


def go_on(at: Instant, *, lived: int, wall: Instant, limit: Instant = NO_LIMIT) -> Instant:
    """What time it is, `lived` microseconds after it was `at`, with a clock that says `wall`."""
    steady = at + lived
    off, allowed = wall - steady, STEP + lived // _DRIFT
    if off > allowed:
        return wall if wall <= limit else Instant(steady)
    if off < -allowed:
        return Instant(steady)
    return wall if off >= 0 else max(wall, Instant(at + lived // _SLOWED))


def doubt(*, now: Instant, wall: Instant) -> int:
    """How far ahead of the gate's time a clock is that is not believed (negative: behind); 0 if it is believed."""
    return wall - now if abs(wall - now) > STEP else 0


def is_same_boot(last: Moment, now: Moment) -> bool:
    """Whether the machine has been up all the time between two moments."""
    return last.boot == now.boot != "" and last.uptime <= now.uptime


def begin(last: Moment | None, machine: Moment) -> Moment:
    """The moment that a process begins with, by the last record and by what the machine says.

    Raises:
        TimeUnknown: a person must say what time it is.
    """
    if last is None:
        return machine
    wall, settles = machine.at, machine.uptime < SETTLING
    if is_same_boot(last, machine):
        limit = last.limit if settles else NO_LIMIT
        return replace(machine, at=go_on(last.at, lived=machine.uptime - last.uptime, wall=wall, limit=limit), limit=limit)
    limit = later(last.at, MISSED)
    if wall > limit:
        raise TimeUnknown(wall=wall, last=last.at)
    return replace(machine, at=max(wall, last.at), limit=limit if settles else NO_LIMIT)


def shift_of_owed(last: Moment, machine: Moment) -> int:
    """By how much the ends of what is owed move when a person says that the clock is right after all.

    On the same boot the time between was not lived: owed mail is as old as before, and lives as long. Over a boot it may have been, and
    what has become too old expires. A record ahead of the right time was never lived at all.
    """
    if is_same_boot(last, machine):
        return machine.at - (last.at + machine.uptime - last.uptime)
    return min(machine.at - last.at, 0)

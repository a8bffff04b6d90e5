"""Timekeeping: the record of the time, what is told of a clock that is wrong, and what happens when a person believes it."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import structlog

from mailgate.core.instants import DAY, HOUR, MINUTE, SECOND, Instant, later
from mailgate.core.timekeeping import Moment, TimeUnknown
from mailgate.journeys.timekeeping import Timekeeper, begun, believe, compared
from mailgate.runtime import SystemClock
from mailgate.store import moments
from tests.builders import Town, town_at
from tests.fakes import NEW_YEAR_2026, FakeClock

YEAR = 365 * DAY
KEPT = Moment(at=NEW_YEAR_2026, boot="a", uptime=DAY)


class Machine(SystemClock):
    """A machine that always says the same."""

    def __init__(self, moment: Moment) -> None:
        self._moment = moment

    def now(self) -> Instant:
        return self._moment.at

    def uptime(self) -> int:
        return self._moment.uptime

    def boot(self) -> str:
        return self._moment.boot


class DoubtfulClock(FakeClock):
    """The machine's clock is so far off."""

    off = 0

    def doubt(self) -> int:
        return self.off


@pytest.fixture
async def town(tmp_path: Path) -> AsyncIterator[Town]:
    async for town in town_at(tmp_path / "mailgate.db"):
        yield town


async def a_letter(town: Town) -> None:
    """Owe somebody a mail that lives for half an hour."""
    await town.post("a@docomo.ne.jp", "touroku")


async def kept(town: Town) -> Moment | None:
    async with town.db.read() as tx:
        return await moments.last_moment(tx)


async def keep(town: Town, moment: Moment) -> None:
    async with town.db.write() as tx:
        await moments.keep_moment(tx, moment)


async def begins(town: Town, machine: Moment) -> Instant:
    async with town.db.read() as tx:
        return (await begun(tx, Machine(machine))).now()


def after(lived: int, *, off: int = 0, boot: str = "a") -> Moment:
    return Moment(at=later(NEW_YEAR_2026, lived + off), boot=boot, uptime=DAY + lived)


# The record


async def test_who_keeps_the_time_writes_it_down_every_ten_seconds(town: Town) -> None:
    keeper = Timekeeper(db=town.db, clock=town.clock, keeps=True)
    for second in range(21):
        await keeper.look()
        moment = await kept(town)
        assert moment is not None
        assert moment.at == NEW_YEAR_2026 + second // 10 * 10 * SECOND
        town.clock.pass_(SECOND)


async def test_who_does_not_keep_it_writes_nothing(town: Town) -> None:
    await Timekeeper(db=town.db, clock=town.clock, keeps=False).look()
    assert await kept(town) is None


async def test_a_process_goes_on_from_the_record(town: Town) -> None:
    await keep(town, KEPT)
    assert await begins(town, after(HOUR, off=YEAR)) == NEW_YEAR_2026 + HOUR
    assert await begins(town, after(0, off=-YEAR, boot="b")) == NEW_YEAR_2026
    with pytest.raises(TimeUnknown):
        await begins(town, after(0, off=YEAR, boot="b"))


async def test_what_was_written_after_the_record_was_lived_through_as_well(town: Town) -> None:
    """Nothing that is owed may lie in the future of a gate that starts with a clock that is behind."""
    town.clock.pass_(8 * SECOND)
    await a_letter(town)
    await keep(town, KEPT)
    assert await begins(town, after(0, off=-YEAR, boot="b")) == NEW_YEAR_2026 + 8 * SECOND


async def test_what_was_written_in_a_time_that_was_taken_back_is_no_record(town: Town) -> None:
    town.clock.pass_(YEAR)
    await a_letter(town)
    await keep(town, KEPT)
    assert await begins(town, after(0, boot="b")) == NEW_YEAR_2026


# Telling


async def test_a_clock_that_is_not_believed_is_told_at_once_and_then_once_an_hour(town: Town) -> None:
    clock = DoubtfulClock()
    keeper = Timekeeper(db=town.db, clock=clock, keeps=False)
    with structlog.testing.capture_logs() as logged:
        await keeper.look()
        clock.off = -HOUR
        for _ in range(61):
            await keeper.look()
            clock.pass_(MINUTE)
        clock.off = 0
        for _ in range(2):
            await keeper.look()
    assert [(line["event"], line["log_level"], line.get("off_s")) for line in logged] == [
        ("clock.doubted", "error", -3600),
        ("clock.doubted", "error", -3600),
        ("clock.agreed", "info", None),
    ]


async def test_the_two_times_are_compared(town: Town) -> None:
    await keep(town, KEPT)
    async with town.db.read() as tx:
        assert await compared(tx, Machine(after(HOUR, off=YEAR))) == (after(HOUR, off=YEAR), after(HOUR))
        assert await compared(tx, Machine(after(0, off=YEAR, boot="b"))) == (after(0, off=YEAR, boot="b"), None)


# Believing after all


async def owed(town: Town) -> tuple[int, int]:
    """When what is owed is due, and when it ends."""
    rows = await town.ask("SELECT due_at, expires_at FROM outbox WHERE state = 'pending'")
    (both,) = {(row["due_at"] - NEW_YEAR_2026, row["expires_at"] - NEW_YEAR_2026) for row in rows}
    return both


@pytest.mark.parametrize(
    "machine, shift",
    [
        (after(HOUR, off=YEAR), YEAR),  # a clock that was set right: what is owed is as old as before
        (after(HOUR, off=-YEAR), -YEAR),
        (after(0, off=YEAR, boot="b"), 0),  # the machine was off: it has expired
        (after(0, off=-YEAR, boot="b"), -YEAR),
    ],
)
async def test_what_is_owed_moves_with_a_time_that_was_never_lived(town: Town, machine: Moment, shift: int) -> None:
    await a_letter(town)
    await keep(town, KEPT)
    async with town.db.write() as tx:
        assert await believe(tx, machine) == bool(shift)
    assert await owed(town) == (shift, shift + 30 * MINUTE)
    assert await kept(town) == machine
    assert await begins(town, machine) == machine.at
    (line,) = await town.ask("SELECT actor, event, detail FROM audit")
    assert (line["actor"], line["event"]) == ("operator", "clock.believed")
    assert f'"shift_s": {shift // SECOND}' in line["detail"]


async def test_the_first_word_about_the_time_moves_nothing(town: Town) -> None:
    await a_letter(town)
    async with town.db.write() as tx:
        assert await believe(tx, KEPT) == 0
    assert await kept(town) == KEPT


async def test_a_broadcast_under_way_moves_as_a_whole(town: Town) -> None:
    await town.a_school()
    await town.a_contact("a@docomo.ne.jp")
    await town.enrolled()
    await town.confirmed("kita-es")
    await keep(town, KEPT)
    (before,) = await town.ask("SELECT confirmed_at, expires_at FROM broadcast")
    async with town.db.write() as tx:
        await believe(tx, after(0, off=-YEAR))
    (moved,) = await town.ask("SELECT confirmed_at, expires_at FROM broadcast")
    assert [moved[key] - before[key] for key in ("confirmed_at", "expires_at")] == [-YEAR, -YEAR]
    town.clock.set(later(NEW_YEAR_2026, -YEAR + HOUR))
    await town.expanded()
    assert [sent.to for sent in await town.sent() if sent.letter == "broadcast"] == ["a@docomo.ne.jp"]

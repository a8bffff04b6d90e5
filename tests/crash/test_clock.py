"""Somebody moves the machine's clock, by an hour or a year, forth or back (MR-60): nothing is lost, and nothing expires for it.

The clock of the gate is moved from outside while it runs, between its death and its new start (daemon.py), or while the machine is off:
then it is another boot, and nobody knows how long it was.
"""

import asyncio
from pathlib import Path

import pytest

from mailgate.core.instants import DAY, HOUR, SECOND
from tests.crash.city import City, pause
from tests.crash.traffic import BOARD
from tests.crash.victim import SPLIT, Ended

YEAR = 365 * DAY
JUMPS = [
    pytest.param(HOUR, id="an hour forth"),
    pytest.param(-HOUR, id="an hour back"),
    pytest.param(YEAR, id="a year forth"),
    pytest.param(-YEAR, id="a year back"),
]


async def doubted(city: City) -> set[int]:
    """How far off the clock was found to be, in hours; an error is logged for it."""
    async with asyncio.timeout(5):
        while not city.victim.logged("clock.doubted"):
            await pause(0.1)
    found = city.victim.logged("clock.doubted")
    assert {event["level"] for event in found} == {"error"}
    return {round(event["off_s"] * SECOND / HOUR) for event in found}


async def killed_in_a_broadcast(city: City) -> None:
    await city.server.order("set", pace_s=0.01)
    async with asyncio.TaskGroup() as group:
        group.create_task(city.traffic.broadcast(BOARD, "all", "運動会のお知らせ"))
        await city.copies(200)
    await bury(city)


async def bury(city: City) -> None:
    await city.victim.bury("mail", "web")
    await city.server.next_epoch()


@pytest.mark.parametrize("jump", JUMPS)
async def test_a_clock_that_jumps_under_a_gate_that_runs(template: Path, tmp_path: Path, jump: int) -> None:
    async with City(tmp_path, template) as city:
        await city.server.order("set", pace_s=0.01)
        async with asyncio.timeout(15), asyncio.TaskGroup() as group:
            group.create_task(city.traffic.one_round())
            await city.copies(200)
            city.victim.move_clock(jump)
        await city.settled(within_s=4)
        verdict = city.verdict()
        assert await doubted(city) == {jump // HOUR}
    assert verdict.faults == []
    assert verdict.duplicates == 0


@pytest.mark.parametrize("jump", JUMPS)
async def test_a_gate_that_was_killed_in_a_broadcast_starts_with_another_time(template: Path, tmp_path: Path, jump: int) -> None:
    async with City(tmp_path, template) as city:
        await killed_in_a_broadcast(city)
        city.victim.move_clock(jump)
        await city.victim.start()
        if jump == YEAR:  # nobody can know that it was not off for a year: what is owed may wait until somebody has looked
            await pause(0.8)
            await bury(city)
            city.victim.move_clock(0)
            await city.victim.start()
        await city.settled(within_s=4)
        verdict = city.verdict()
    assert verdict.faults == []


@pytest.mark.parametrize("jump", [HOUR, -HOUR, -YEAR], ids=["an hour forth", "an hour back", "a year back"])
async def test_a_machine_that_was_off_comes_back_with_another_time(template: Path, tmp_path: Path, jump: int) -> None:
    async with City(tmp_path, template) as city:
        await killed_in_a_broadcast(city)
        city.victim.boot += 1
        city.victim.move_clock(jump)
        await city.victim.start()
        await city.settled(within_s=4)
        verdict = city.verdict()
        assert jump > 0 or await doubted(city) == {jump // HOUR}
    assert verdict.faults == []


async def test_a_machine_that_comes_back_a_year_later_waits_until_somebody_has_looked(template: Path, tmp_path: Path) -> None:
    async with City(tmp_path, template) as city:
        await killed_in_a_broadcast(city)
        before = city.judge.outbox()
        city.victim.boot += 1
        city.victim.move_clock(YEAR)
        for side in SPLIT:
            with pytest.raises(Ended, match="mailgate clock believe"):
                await city.victim.start(side)
        assert city.judge.outbox() == before
        assert [event["level"] for event in city.victim.logged("clock.unknown")] == ["error", "error"]
        city.victim.move_clock(0)
        await city.victim.start()
        await city.settled(within_s=4)
        verdict = city.verdict()
    assert verdict.faults == []

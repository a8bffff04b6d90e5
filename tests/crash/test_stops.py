"""A gate that stands still (SIGSTOP): a host that swaps, a machine that is moved. Leases run out, peers hang up, and then it goes on."""

import asyncio
import signal
from pathlib import Path

from mailgate.core.instants import MINUTE, SECOND
from tests.crash.city import City, pause
from tests.crash.verdict import WINDOW
from tests.crash.victim import Side

# Leases end and are renewed in the time that the gate stands still, not in a quarter of an hour.
SHORT_LEASE = {"mailgate.journeys.feed.LEASE": SECOND // 2, "mailgate.journeys.feed._RENEW_AFTER_S": 0.2}
CONNECTIONS = 16


async def stand_still(city: City, *sides: Side, seconds: float) -> None:
    city.victim.strike(*sides, number=signal.SIGSTOP)
    await pause(seconds)
    city.victim.strike(*sides, number=signal.SIGCONT)


async def test_a_gate_that_stands_still_for_longer_than_its_lease_sends_everything_once(template: Path, tmp_path: Path) -> None:
    async with City(tmp_path, template, constants=SHORT_LEASE) as city:
        await city.server.order("set", pace_s=0.01)
        async with asyncio.TaskGroup() as group:
            group.create_task(city.traffic.one_round())
            await city.copies(300)
            await stand_still(city, "mail", seconds=1)
            await city.copies(300)
            await stand_still(city, "mail", "web", seconds=1)
        await city.settled()
        verdict = city.verdict()
    assert verdict.faults == []
    assert verdict.duplicates == 0


async def test_who_hangs_up_on_a_gate_that_stands_still_gets_again_only_what_he_did_not_answer(template: Path, tmp_path: Path) -> None:
    async with City(tmp_path, template, constants=SHORT_LEASE) as city:
        async with asyncio.TaskGroup() as group:
            group.create_task(city.traffic.one_round())
            await city.copies(300)
            await city.server.order("set", is_holding=True)
            record = city.server.record
            await record.until(lambda: len(record.copies) - len(record.answered) >= CONNECTIONS // 2)
            city.victim.strike("mail", number=signal.SIGSTOP)
            await pause(1)
            await city.server.order("cut")
            await city.server.next_epoch()
            await city.server.order("release")
            city.victim.strike("mail", number=signal.SIGCONT)
        while city.judge.outbox()["pending"]:
            city.victim.let_pass(MINUTE)  # a copy whose answer was lost is tried again in some minutes
            await pause(0.2)
        await city.settled()
        verdict = city.verdict()
    assert verdict.faults == []
    assert CONNECTIONS // 2 <= verdict.duplicates <= WINDOW

"""The disk is full, fails, or has gone read-only: peers come again, nothing that was accepted is lost, and a new start mends it."""

import asyncio
from itertools import count
from pathlib import Path

import pytest

from tests.crash.city import City, pause
from tests.crash.disks import SmallDisk, WornDisk
from tests.crash.verdict import WINDOW
from tests.crash.victim import Ended

LATE = "machite..iru@docomo.ne.jp"


async def test_a_full_disk_sends_peers_away_and_loses_nothing(template: Path, tmp_path: Path, small_disk: SmallDisk) -> None:
    async with City(tmp_path, template, gate=small_disk.path / "gate") as city:
        await city.server.order("set", pace_s=0.01)
        async with asyncio.TaskGroup() as group:
            group.create_task(city.traffic.one_round())
            await city.copies(200)
            small_disk.fill()
            async with asyncio.timeout(10):
                for number in count():  # the log may have room that it does not need to ask for
                    group.create_task(city.traffic.ask_to_join(f"{number}.{LATE}"))
                    await pause(0.2)
                    if city.peers.refusals["452 4.3.1"]:
                        break
            await pause(0.5)
            small_disk.free()
        await city.settled()
        verdict = city.verdict()
        assert set(city.peers.refusals) <= {"452 4.3.1", "page 500", "page 503"}
    assert verdict.faults == []
    assert verdict.duplicates == 0


async def test_a_gate_killed_on_a_full_disk_starts_on_it_and_goes_on_when_there_is_room(
    template: Path, tmp_path: Path, small_disk: SmallDisk
) -> None:
    async with City(tmp_path, template, gate=small_disk.path / "gate") as city:
        await city.server.order("set", pace_s=0.01)
        async with asyncio.TaskGroup() as group:
            group.create_task(city.traffic.one_round())
            await city.copies(200)
            small_disk.fill()
            await pause(0.5)
            await city.victim.bury("mail", "web")
            await city.server.next_epoch()
            await city.victim.start()
            await pause(0.5)
            small_disk.free()
        await city.settled()
        verdict = city.verdict()
    assert verdict.faults == []
    assert verdict.duplicates <= WINDOW


async def test_a_disk_that_fails_for_a_while_sends_peers_away_and_loses_nothing(template: Path, tmp_path: Path) -> None:
    """Every write gives an error that is not "full": RLIMIT_FSIZE, which can be set for a running process and taken back."""
    async with City(tmp_path, template) as city:
        await city.server.order("set", pace_s=0.01)
        async with asyncio.TaskGroup() as group:
            group.create_task(city.traffic.one_round())
            await city.copies(200)
            city.victim.let_write(0)
            group.create_task(city.traffic.ask_to_join(LATE))
            await pause(1)
            city.victim.let_write(None)
        await city.settled()
        verdict = city.verdict()
        # 452 says those in whose company somebody met the error: SQLite has rolled back for all of them.
        assert city.peers.refusals["451 4.3.0"] > 0
        assert set(city.peers.refusals) <= {"451 4.3.0", "452 4.3.1", "page 500", "page 503"}
    assert verdict.faults == []
    assert verdict.duplicates == 0


async def test_a_disk_that_turns_read_only_loses_nothing_and_is_mended_by_a_new_start(
    template: Path, tmp_path: Path, worn_disk: WornDisk
) -> None:
    async with City(tmp_path, template, gate=worn_disk.path / "gate") as city:
        worn_disk.flush()
        await city.server.order("set", pace_s=0.01)
        async with asyncio.TaskGroup() as group:
            group.create_task(city.traffic.one_round())
            await city.copies(200)
            # No COMMIT is under way at that moment: ext4 says of the one that is that it was written, and loses it. SQLite by itself, with
            # nothing of ours, lost an acknowledged COMMIT in two of twenty-five tries.
            await city.server.order("set", is_holding=True)
            await pause(0.2)
            worn_disk.breaks()
            await city.server.order("release")
            group.create_task(city.traffic.ask_to_join(LATE))
            await pause(1)
            await city.victim.bury("mail", "web")
            await city.server.next_epoch()
            with pytest.raises(Ended, match="Read-only file system"):
                await city.victim.start("mail")
            worn_disk.repair()
            await city.victim.start()
        await city.settled()
        verdict = city.verdict()
    assert verdict.faults == []
    assert verdict.duplicates <= WINDOW


async def test_a_power_cut_loses_nothing_either(template: Path, tmp_path: Path, worn_disk: WornDisk) -> None:
    """A kill leaves what was written in the system's memory. Here only what was synced is there again: 250 comes after that."""
    async with City(tmp_path, template, gate=worn_disk.path / "gate") as city:
        worn_disk.flush()
        await city.server.order("set", pace_s=0.01)
        for copies in (50, 400):
            async with asyncio.TaskGroup() as group:
                group.create_task(city.traffic.one_round())
                await city.copies(copies)
                worn_disk.loses_power()
                await city.victim.bury("mail", "web")
                await city.server.next_epoch()
                worn_disk.repair()
                await city.victim.start()
            await city.settled()
            assert city.verdict().faults == []
        verdict = city.verdict()
    assert max(verdict.doubled_by.values()) <= WINDOW

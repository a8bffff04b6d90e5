"""Care: a sender that has died three times in a row takes one row at a time until ten have gone out."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import structlog

from mailgate.core.care import Life
from mailgate.core.instants import HOUR, later
from mailgate.store import lives
from mailgate.store.db import Db
from tests.fakes import NEW_YEAR_2026
from tests.fixtures_store import make_database
from tests.journeys.test_deliver import GREYLISTED, Bench, StumblingDb


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    opened = await StumblingDb.open(make_database(tmp_path / "mailgate.db"))
    assert isinstance(opened, StumblingDb)
    opened.faults = []
    yield Bench(opened)
    await opened.close()


async def die(db: Db, times: int, *, careful: bool = False, ago: int = 0) -> None:
    """Leave the records of so many senders that began and did not end."""
    async with db.write() as tx:
        for _ in range(times):
            await lives.begin_life(tx, careful=careful, now=later(NEW_YEAR_2026, -ago))


async def remembered(db: Db) -> list[Life]:
    async with db.read() as tx:
        return await lives.last_lives(tx)


async def test_a_sender_writes_down_that_it_begins_and_that_it_ends_well(bench: Bench) -> None:
    ids = await bench.some(1)
    async with bench.sending():
        await bench.until(handed_over=len(ids))
        assert await remembered(bench.db) == [Life(begun_at=NEW_YEAR_2026, ended_well=False, is_careful=False)]
    assert await remembered(bench.db) == [Life(begun_at=NEW_YEAR_2026, ended_well=True, is_careful=False)]


@pytest.mark.parametrize("deaths, careful", [(2, False), (3, True)])
async def test_after_three_deaths_rows_are_claimed_one_at_a_time_until_ten_have_gone_out(bench: Bench, deaths: int, careful: bool) -> None:
    await die(bench.db, deaths)
    ids = await bench.some(30)
    with structlog.testing.capture_logs() as logged:
        async with bench.sending():
            await bench.until(handed_over=len(ids))
            assert not (await remembered(bench.db))[0].is_careful
    alone = 10 if careful else 0
    assert [len(batch) for batch in bench.writer.batches] == [*[1] * alone, 30 - alone]
    events = [line["event"] for line in logged if line["event"] != "sender.started"]
    assert events == (["sender.careful", *["delivery.singled_out"] * 10, "sender.reassured"] if careful else [])
    assert [line["delivery"] for line in logged if line["event"] == "delivery.singled_out"] == ids[:alone]


async def test_no_row_is_claimed_while_one_is_out(bench: Bench) -> None:
    await die(bench.db, 3)
    await bench.some(5)
    bench.relay.hold()
    async with bench.sending() as sender:
        await bench.relay.came(1)
        for _ in range(5):
            sender.wake()
            await asyncio.sleep(0.03)
        assert await bench.counts() == {"pending": 4, "leased": 1}
        bench.relay.let_go()
        await bench.until(handed_over=5)


async def test_what_did_not_go_out_does_not_reassure(bench: Bench) -> None:
    await die(bench.db, 3)
    bench.relay = type(bench.relay)([GREYLISTED] * 4)
    ids = await bench.some(20)
    async with bench.sending():
        await bench.until(handed_over=16, pending=4)
    assert [len(batch) for batch in bench.writer.batches] == [*[1] * 14, len(ids) - 14]


async def test_who_dies_before_ten_have_gone_out_stays_careful_however_long_it_took(bench: Bench) -> None:
    await die(bench.db, 1, careful=True, ago=HOUR)
    await bench.some(2)
    async with bench.sending():
        await bench.until(handed_over=2)
        assert [life.is_careful for life in await remembered(bench.db)] == [True, True]


async def test_only_the_last_lives_are_remembered(bench: Bench) -> None:
    await die(bench.db, 25)
    assert len(await remembered(bench.db)) == 10

"""A stop while somebody else holds the database: it ends in time all the same, and what was owed still is."""

import asyncio
import sqlite3
import time
from contextlib import closing

from tests.journeys.acts import JOIN, a_gate
from tests.journeys.gate import Gate
from tests.journeys.sink import Sink

PROMISED_S = 20


async def test_a_stop_while_another_process_writes_ends_in_time_and_loses_nothing(gate: Gate, sink: Sink) -> None:
    await a_gate(gate, sink, "mail")
    sink.delay_s = 0.5
    writers = [f"kazoku.{number}@docomo.ne.jp" for number in range(40)]
    assert {reply[:3] for reply in await asyncio.gather(*(gate.mail(writer, JOIN) for writer in writers))} == {"250"}
    await sink.wait_for(lambda caught: len(caught) > 0)
    with closing(sqlite3.connect(gate.folder / "mailgate.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        late = asyncio.create_task(gate.mail("late@docomo.ne.jp", JOIN))
        began = time.monotonic()
        assert await gate.stop("mail") == 0
        took = time.monotonic() - began
        (said,) = await asyncio.gather(late, return_exceptions=True)  # 421, or cut off before anything was said
        assert not str(said).startswith("250")
        other.execute("ROLLBACK")
    assert took < PROMISED_S
    sink.delay_s = 0
    await gate.start("mail")
    await sink.wait_for(lambda caught: {mail.recipient for mail in caught} >= set(writers))
    assert len({mail.message["Message-ID"] for mail in sink.caught}) == len(writers)

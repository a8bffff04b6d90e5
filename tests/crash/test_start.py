"""Recovery: with 100,000 rows in the outbox a gate that was killed serves, and sends on, within three seconds."""

import asyncio
import sqlite3
import time
from contextlib import closing
from pathlib import Path

import pytest

from mailgate.core.delivery import Lane
from mailgate.core.instants import DAY, HOUR
from mailgate.runtime import SystemClock, SystemDice
from mailgate.settings import load
from mailgate.vault import MAIL_KEYS, TextVault, load_keys
from tests.crash.city import City
from tests.crash.victim import Victim

ROWS = 100_000
LEASED = 1_000  # a batch in hand and one ahead
RECOVERY_S = 3.0
TRIES = 4  # what neighbours on the machine take away is no fault of the gate


def fill(victim: Victim) -> None:
    """Broadcast upon broadcast, each with a delivery to every address of the sample city."""
    now = SystemClock().now() - HOUR
    texts = TextVault(load_keys(load(victim.config).keys_dir, MAIL_KEYS), SystemDice())
    with closing(sqlite3.connect(victim.database)) as db:
        (addresses,) = db.execute("SELECT COUNT(*) FROM address").fetchone()
        for number in range(1, ROWS // addresses + 2):
            sealed = [texts.seal_text("お知らせ", column, number) for column in ("subject", "text", "cut")]
            db.execute(
                """
                INSERT INTO broadcast (id, link_id, state, kind, lane, staff_id, source, subject, text, cut, created_at, confirmed_at,
                                       expires_at, expanded_at, recipients)
                VALUES (?, ?, 'sending', 'notice', ?, 1, x'', ?, ?, ?, ?, ?, ?, ?, ?)
                """,
                (number, number.to_bytes(15, "big"), Lane.ORDINARY, *sealed, now, now, now + DAY, now, addresses),
            )
            db.execute("INSERT INTO broadcast_part (broadcast_id, part, staff) VALUES (?, 'all', 0)", (number,))
            db.execute(
                """
                INSERT INTO outbox (broadcast_id, address_id, lane, state, created_at, due_at, expires_at)
                SELECT ?, id, ?, 'pending', ?, ?, ? FROM address
                """,
                (number, Lane.ORDINARY, now, now, now + DAY),
            )
        db.commit()
        (rows,) = db.execute("SELECT COUNT(*) FROM outbox").fetchone()
        assert rows >= ROWS


def leave(victim: Victim, *, leased: int, rest: str) -> None:
    """The outbox as a gate leaves it that is killed: some are leased by it, what is behind them is in another state."""
    with closing(sqlite3.connect(victim.database)) as db:
        db.execute("UPDATE broadcast SET state = 'sending', done_at = NULL")
        db.execute("UPDATE outbox SET state = ?, lease_node = NULL, leased_until = NULL", (rest,))
        db.execute(
            "UPDATE outbox SET state = 'leased', lease_node = 'gate', leased_until = ? WHERE id <= ?", (SystemClock().now(), leased)
        )
        db.commit()


@pytest.mark.parametrize("rest", ["pending", "handed_over"])
async def test_a_gate_with_a_hundred_thousand_rows_is_back_within_three_seconds(template: Path, tmp_path: Path, rest: str) -> None:
    async with City(tmp_path, template) as city:
        await city.victim.bury("mail", "web")
        fill(city.victim)
        serves_s: list[float] = []
        sends_s: list[float] = []
        while not serves_s or (max(min(serves_s), min(sends_s)) >= RECOVERY_S and len(serves_s) < TRIES):
            leave(city.victim, leased=LEASED, rest=rest)
            sent = asyncio.create_task(city.copies(100))
            await asyncio.sleep(0)  # it counts from here
            begun = time.monotonic()
            serves_s.append(await city.victim.start())
            await sent
            sends_s.append(time.monotonic() - begun)
            await city.victim.bury("mail", "web")
            await city.server.next_epoch()
    assert min(serves_s) < RECOVERY_S
    assert min(sends_s) < RECOVERY_S

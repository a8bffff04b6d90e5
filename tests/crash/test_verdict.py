"""The judge of the crash runs is judged: what a gate has lost, doubled or changed is found, each by itself."""

import asyncio
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from copy import copy, deepcopy
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random
from typing import Any  # whatever is chosen from

import pytest

from tests.crash.city import City
from tests.crash.record import Record
from tests.crash.traffic import Promises
from tests.crash.verdict import Judge, Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A round in which nothing went wrong."""

    config: Path
    database: Path
    record: Record
    promises: Promises

    def judged(self) -> Verdict:
        return Judge(self.config, self.database).judge(self.record, self.promises)


class First(Random):
    """Dice that always choose the first of several, which is what they may do."""

    def choice(self, seq: Any) -> Any:
        return seq[0]


@pytest.fixture(scope="module")
def sound(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Case:
    async def one_round() -> Case:
        async with City(tmp_path_factory.mktemp("sound"), template, dice=First(1)) as city:
            await city.traffic.one_round()
            await city.settled()
            assert await city.victim.stop() == {"mail": 0, "web": 0}
            city.server.record.read_on()
            return Case(
                config=city.victim.config,
                database=city.victim.database,
                record=city.server.record,
                promises=city.traffic.promises,
            )

    return asyncio.run(one_round())


@pytest.fixture
def case(sound: Case, tmp_path: Path) -> Case:
    """A copy of it, to be spoilt."""
    record = copy(sound.record)
    record.copies = list(sound.record.copies)
    record.answered = set(sound.record.answered)
    record.breaches = []
    database = shutil.copy(sound.database, tmp_path / "mailgate.db")
    return replace(sound, database=Path(database), record=record, promises=deepcopy(sound.promises))


def test_a_sound_round_has_no_faults_and_everything_in_it(case: Case) -> None:
    verdict = case.judged()
    assert verdict.faults == []
    assert verdict.copies == verdict.recipients > 2_000
    promises = case.promises
    assert (len(promises.invited), len(promises.registered), len(promises.drafted), len(promises.confirmed)) == (5, 2, 3, 2)
    assert (len(promises.bounced), len(promises.read), promises.passed_on) == (2, 3, 1)


@pytest.mark.parametrize(
    "sql, fault",
    [
        ("DELETE FROM outbox WHERE id = (SELECT MAX(id) FROM outbox WHERE broadcast_id IS NOT NULL)", "left out 1 of"),
        ("DELETE FROM outbox WHERE letter = 'invitation'", "answered by 0 invitations"),
        ("DELETE FROM outbox WHERE letter = 'completion'", "answered by 0 mails"),
        ("DELETE FROM outbox WHERE letter = 'for_operator'", "0 of 1 mails went on to the operator"),
        ("DELETE FROM contact WHERE registration_id IN (SELECT registration_id FROM invitation_use)", "is gone"),
        ("DELETE FROM receipt", "a receipt was accepted"),
        ("UPDATE outbox SET state = 'handed_over' WHERE state = 'bounced'", "a bounce was accepted"),
        ("UPDATE outbox SET state = 'pending' WHERE id = 1", "delivery 1 is pending"),
        ("UPDATE outbox SET state = 'expired' WHERE id = 1", "delivery 1 is expired"),
        ("UPDATE outbox SET state = 'failed' WHERE id = 1", "delivery 1 is failed"),
        ("UPDATE outbox SET address_id = (SELECT address_id FROM outbox WHERE id = 9) WHERE id = 1", "went to somebody else"),
        ("UPDATE broadcast SET state = 'sending' WHERE state = 'done'", "was confirmed and is sending"),
        ("UPDATE broadcast SET state = 'confirmed' WHERE state = 'drafted'", "nobody was told so"),
        ("UPDATE broadcast SET recipients = recipients + 1 WHERE state = 'done'", "deliveries and says"),
        ("DELETE FROM broadcast WHERE state = 'drafted'", "0 drafts of one staff mail"),
        ("DELETE FROM school", "foreign_key_check"),
    ],
)
def test_what_is_missing_in_the_database_is_found(case: Case, sql: str, fault: str) -> None:
    with closing(sqlite3.connect(case.database)) as db:
        assert db.execute(sql).rowcount > 0
        db.commit()
    assert any(fault in found for found in case.judged().faults)


def _unsaid(record: Record) -> None:
    record.answered.discard(record.copies[0].number)


def _never_came(record: Record) -> None:
    del record.copies[0]


def _foreign(record: Record) -> None:
    record.copies[0] = replace(record.copies[0], message_id="<1@elsewhere.example>")


def _twice(record: Record) -> None:
    record.copies.append(replace(record.copies[0], number=len(record.copies) + 1))


def _twice_with_another_date(record: Record) -> None:
    record.copies.append(replace(record.copies[0], number=len(record.copies) + 1, epoch=1, date="Thu, 01 Jan 2026 00:00:00 +0900"))


def _twice_with_another_text(record: Record) -> None:
    copy_of_broadcast = next(taken for taken in record.copies if "kyoiku" not in taken.recipient)
    record.copies.append(replace(copy_of_broadcast, number=len(record.copies) + 1, epoch=1, digest="another"))


def _too_many_after_one_kill(record: Record) -> None:
    record.copies += [replace(taken, epoch=1) for taken in record.copies[:65]]


def _out_of_order(record: Record) -> None:
    record.breaches.append("content before the 354")


@pytest.mark.parametrize(
    "spoil, fault",
    [
        (_unsaid, "the sink has no copy of it"),
        (_never_came, "the sink has no copy of it"),
        (_foreign, "a Message-ID that is none of ours"),
        (_twice, "went out twice though nobody was killed"),
        (_twice_with_another_date, "differ in who, when or which they are"),
        (_twice_with_another_text, "differ"),
        (_too_many_after_one_kill, "doubled 65 copies, with a window of 64"),
        (_out_of_order, "content before the 354"),
    ],
)
def test_what_the_sink_took_wrongly_is_found(case: Case, spoil: Callable[[Record], None], fault: str) -> None:
    spoil(case.record)
    assert any(fault in found for found in case.judged().faults)


def _bounced(case: Case) -> int:
    """The number of the copy that bounced first."""
    return next(number for number, taken in enumerate(case.record.copies) if taken.message_id in case.promises.bounced)


def test_a_copy_whose_answer_was_lost_may_bounce(case: Case) -> None:
    case.record.answered.discard(case.record.copies[_bounced(case)].number)
    assert case.judged().faults == []


def test_what_bounced_without_a_copy_is_found(case: Case) -> None:
    del case.record.copies[_bounced(case)]
    assert any("bounced, and the sink has no copy of it" in found for found in case.judged().faults)


def test_as_many_copies_as_the_window_may_go_out_again_after_a_kill(case: Case) -> None:
    case.record.copies += [replace(taken, epoch=1) for taken in case.record.copies[:64]]
    verdict = case.judged()
    assert verdict.faults == []
    assert (verdict.duplicates, verdict.doubled_by[0]) == (64, 64)


def test_a_damaged_file_is_found(case: Case) -> None:
    octets = bytearray(case.database.read_bytes())
    for page in range(40, 90):
        octets[page * 4096 + 8 : page * 4096 + 64] = bytes(56)
    case.database.write_bytes(octets)
    try:
        faults = case.judged().faults
    except sqlite3.DatabaseError as error:
        faults = [f"integrity_check: {error}"]
    assert any("integrity_check" in found or "malformed" in found for found in faults)

"""The verdict: what the sink took, what the database says and what was promised, held against each other.

A loss is anything that was answered with 250 or 303 and is not there, or that is there and did not go out. A copy that went out twice is no
loss, but it must be the same copy, and between its two goings the mail side must have been killed: each kill is charged with the copies
that went out again after it. Nothing may be owed any more when this is asked.
"""

import sqlite3
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Final

from mailgate.core.registration import normal_login_id
from mailgate.core.returnpath import Slot
from mailgate.journeys.links import Links
from mailgate.runtime import SystemDice
from mailgate.settings import load
from mailgate.vault import MAIL_KEYS, AddressVault, TextVault, load_keys
from tests.crash.record import Copy, Record
from tests.crash.traffic import OPERATOR, Confirmed, Promises

WINDOW: Final = 64
_OUT: Final = ("handed_over", "delivered", "bounced")
_NOTICED: Final = ("delivered", "bounced")  # a notice overtakes an answer that was lost: the copy went out


@dataclass(slots=True)
class Verdict:
    """What is wrong, in words, and the figures of what is not."""

    faults: list[str] = field(default_factory=list)
    copies: int = 0
    recipients: int = 0  # deliveries that went out
    doubled_by: Counter[int] = field(default_factory=Counter)  # by epoch: copies that went out again after the kill that ended it

    @property
    def duplicates(self) -> int:
        return self.doubled_by.total()


class Judge:
    """Knows the keys of one gate."""

    def __init__(self, config: Path, database: Path) -> None:
        settings = load(config)
        keys = load_keys(settings.keys_dir, MAIL_KEYS)
        self._database = database
        self._addresses = AddressVault(keys, SystemDice())
        self._texts = TextVault(keys, SystemDice())
        self._links = Links(keys.ring("links"), settings.gate.public_url)
        self._known: dict[int, str] = {}  # addresses by id: opened once

    def owed(self) -> int:
        """How many deliveries and broadcasts have not come to an end; at least one while the gate is dead."""
        try:
            with self._reading() as db:
                (count,) = db.execute(
                    """
                    SELECT (SELECT COUNT(*) FROM outbox WHERE state IN ('pending', 'leased'))
                         + (SELECT COUNT(*) FROM broadcast WHERE state IN ('confirmed', 'sending', 'halted'))
                    """
                ).fetchone()
                return int(count)
        except sqlite3.OperationalError:  # who only reads cannot bring a database back to life
            return 1

    def outbox(self) -> Counter[str]:
        """Deliveries by state."""
        with self._reading() as db:
            return Counter(dict(db.execute("SELECT state, COUNT(*) FROM outbox GROUP BY state").fetchall()))

    def judge(self, record: Record, promises: Promises, *, window: int = WINDOW) -> Verdict:
        """Compare everything."""
        record.read_on()
        verdict = Verdict(copies=len(record.copies))
        with self._reading() as db:
            sent = self._sent(record, verdict)
            verdict.recipients = len(sent)
            verdict.faults += _sound(db)
            verdict.faults += self._rows_against_copies(db, record, sent)
            verdict.faults += self._broadcasts(db, promises)
            verdict.faults += self._joined(db, promises)
            verdict.faults += self._came_back(db, record, promises)
        verdict.faults += record.breaches
        verdict.faults += _changed(sent)
        verdict.faults += _doubled(sent, verdict, window)
        return verdict

    def _reading(self) -> "closing[sqlite3.Connection]":
        connection = sqlite3.connect(f"file:{self._database}?mode=ro", uri=True, timeout=20, isolation_level=None)
        connection.row_factory = sqlite3.Row
        return closing(connection)

    def _sent(self, record: Record, verdict: Verdict) -> dict[int, list[Copy]]:
        """The copies by the delivery that their Message-ID names."""
        sent: defaultdict[int, list[Copy]] = defaultdict(list)
        for copy in record.copies:
            outbox_id = self._links.outbox_id(Slot.MESSAGE_ID, copy.message_id.strip("<>").partition("@")[0])
            if outbox_id is None:
                verdict.faults.append(f"copy {copy.number} has a Message-ID that is none of ours")
            else:
                sent[outbox_id].append(copy)
        return sent

    def _address(self, row: sqlite3.Row) -> str:
        address_id = int(row["address_id"])
        if address_id not in self._known:
            self._known[address_id] = self._addresses.open_address(row["sealed"], address_id)
        return self._known[address_id]

    def _rows_against_copies(self, db: sqlite3.Connection, record: Record, sent: dict[int, list[Copy]]) -> Iterator[str]:
        rows = db.execute("SELECT o.id, o.state, o.address_id, a.sealed FROM outbox o JOIN address a ON a.id = o.address_id")
        unknown = set(sent)
        for row in rows:
            unknown.discard(row["id"])
            copies = sent.get(row["id"], [])
            if row["state"] not in _OUT:
                yield f"delivery {row['id']} is {row['state']}"
            elif not any(copy.number in record.answered or row["state"] in _NOTICED for copy in copies):
                yield f"delivery {row['id']} is {row['state']}, and the sink has no copy of it"
            if any(copy.recipient != self._address(row) for copy in copies):
                yield f"a copy of delivery {row['id']} went to somebody else"
        yield from (f"the sink has a copy of delivery {outbox_id}, which is not in the database" for outbox_id in unknown)

    def _broadcasts(self, db: sqlite3.Connection, promises: Promises) -> Iterator[str]:
        subjects: Counter[str] = Counter()
        for row in db.execute("SELECT id, subject, state, recipients FROM broadcast"):
            subject = self._texts.open_text(row["subject"], "subject", row["id"])
            subjects[subject] += 1
            if subject in promises.confirmed:
                yield from self._confirmed(db, row, promises.confirmed[subject])
            elif row["state"] != "drafted":
                yield f"broadcast {row['id']} is {row['state']}, and nobody was told so"
        yield from (f"{subjects[subject]} drafts of one staff mail" for subject in promises.drafted if subjects[subject] != 1)
        yield from ("a broadcast that was confirmed is gone" for subject in promises.confirmed if subject not in subjects)

    def _confirmed(self, db: sqlite3.Connection, row: sqlite3.Row, audience: Confirmed) -> Iterator[str]:
        if row["state"] != "done":
            yield f"broadcast {row['id']} was confirmed and is {row['state']}"
        rows = db.execute(
            "SELECT o.address_id, a.sealed FROM outbox o JOIN address a ON a.id = o.address_id WHERE o.broadcast_id = ?", (row["id"],)
        ).fetchall()
        reached = {self._address(found) for found in rows}
        if row["recipients"] != len(rows):
            yield f"broadcast {row['id']} has {len(rows)} deliveries and says {row['recipients']}"
        if missing := audience.must - reached:
            yield f"broadcast {row['id']} left out {len(missing)} of {len(audience.must)}"
        if strangers := reached - audience.may:
            yield f"broadcast {row['id']} went to {len(strangers)} outside its audience"

    def _joined(self, db: sqlite3.Connection, promises: Promises) -> Iterator[str]:
        letters: Counter[tuple[str, str]] = Counter()
        for row in db.execute(
            """
            SELECT o.letter, o.address_id, a.sealed FROM outbox o JOIN address a ON a.id = o.address_id WHERE o.broadcast_id IS NULL
            """
        ):
            letters[row["letter"], self._address(row)] += 1
        for address in promises.invited:
            if letters["invitation", address] != 1:
                yield f"a blank mail was accepted and answered by {letters['invitation', address]} invitations"
        found = {
            (row["login_key"], self._address(row))
            for row in db.execute(
                """
                SELECT r.login_key, c.address_id, a.sealed
                  FROM registration r JOIN contact c ON c.registration_id = r.id JOIN address a ON a.id = c.address_id
                """
            )
        }
        for login, address in promises.registered.items():
            if (normal_login_id(login), address) not in found:
                yield f"the registration of {login} is gone"
            if letters["completion", address] != 1:
                yield f"the registration of {login} was answered by {letters['completion', address]} mails"
        if letters["for_operator", OPERATOR] != promises.passed_on:
            yield f"{letters['for_operator', OPERATOR]} of {promises.passed_on} mails went on to the operator"

    def _came_back(self, db: sqlite3.Connection, record: Record, promises: Promises) -> Iterator[str]:
        bounced = {row["id"] for row in db.execute("SELECT id FROM outbox WHERE state = 'bounced'")}
        read = {row["outbox_id"] for row in db.execute("SELECT outbox_id FROM receipt")}
        for message_ids, noted, what in ((promises.bounced, bounced, "bounce"), (promises.read, read, "receipt")):
            for message_id in message_ids:
                if self._links.outbox_id(Slot.MESSAGE_ID, message_id.strip("<>").partition("@")[0]) not in noted:
                    yield f"a {what} was accepted and is not in the database"


def _sound(db: sqlite3.Connection) -> Iterator[str]:
    """What SQLite itself has to say."""
    said = [row[0] for row in db.execute("PRAGMA integrity_check")]
    if said != ["ok"]:
        yield f"integrity_check: {said[:3]}"
    if broken := db.execute("PRAGMA foreign_key_check").fetchall():
        yield f"foreign_key_check: {len(broken)} rows"


def _changed(sent: dict[int, list[Copy]]) -> Iterator[str]:
    """Copies of one delivery that are not the same mail."""
    for outbox_id, copies in sent.items():
        if len({(copy.message_id, copy.date, copy.sender, copy.recipient) for copy in copies}) > 1:
            yield f"the copies of delivery {outbox_id} differ in who, when or which they are"
        elif len({copy.digest for copy in copies}) > 1:
            yield f"the copies of delivery {outbox_id} differ"


def _doubled(sent: dict[int, list[Copy]], verdict: Verdict, window: int) -> Iterator[str]:
    """Charge each kill with what went out again after it."""
    for outbox_id, copies in sent.items():
        for first, second in pairwise(copies):
            if first.epoch == second.epoch:
                yield f"delivery {outbox_id} went out twice though nobody was killed"
            else:
                verdict.doubled_by[first.epoch] += 1
    for epoch, count in verdict.doubled_by.items():
        if count > window:
            yield f"the end of epoch {epoch} doubled {count} copies, with a window of {window}"

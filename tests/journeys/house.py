"""A house of families: the journeys of guardians over a real store, without mail and pages.

Argon2 is replaced by something that costs nothing and counts; addresses are sealed for real. An invitation is there without a blank mail,
and what is owed is read from the outbox instead of being written.
"""

import hashlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from mailgate.core.addresses import parse_spec
from mailgate.core.delivery import Lane
from mailgate.core.instants import HOUR, MINUTE, Instant, later
from mailgate.core.registration import AddressRule, Form
from mailgate.core.tokens import ID_BYTES
from mailgate.journeys.addressbook import AddressBook
from mailgate.journeys.forget import Forget
from mailgate.journeys.join import Join, NotRegistered, Registered
from mailgate.journeys.keep import Keep, LoggedIn, Me
from mailgate.journeys.links import INVITATION_LIFETIME, LinkDead, Links
from mailgate.journeys.logins import issue_code
from mailgate.journeys.means import Means
from mailgate.journeys.passwords import Passwords
from mailgate.journeys.schools import new_registration_code
from mailgate.journeys.shown import Client
from mailgate.store import changes, invitations, logins, outbox, people, schools
from mailgate.store.db import Db, Params, Row
from mailgate.vault import AddressVault, Digests, Keys
from tests.fakes import FakeClock, FixedDice
from tests.fixtures_store import make_database

MOTHER = "haha@docomo.ne.jp"
FATHER = "chichi..x@ezweb.ne.jp"
GRANDMOTHER = "sobo@softbank.ne.jp"
NEW_PHONE = "atarashii@icloud.com"
CHILDS_OWN = "hanako@ymobile.ne.jp"
PASSWORD = "yuki-no-asa-5"
HERE = Client(network="192.0.2.0/24")
ELSEWHERE = Client(network="198.51.100.0/24")
FORM = Form(
    login_id="hanako2026", password=PASSWORD, name="髙橋 花子", kana="たかはし はなこ", grade="3", class_name="1", label="母のスマホ"
)


class CountedPasswords(Passwords):
    """Hashes that cost nothing; `looked_at` are those that something was compared with."""

    def __init__(self) -> None:
        super().__init__()
        self.looked_at: list[str] = []
        self.meanwhile: Callable[[], Awaitable[object]] | None = None  # what happens once while somebody waits for argon2

    async def hash(self, secret: str) -> str:
        return f"hash of {secret}"

    async def matches(self, encoded: str, secret: str) -> bool:
        self.looked_at.append(encoded)
        if self.meanwhile is not None:
            meanwhile, self.meanwhile = self.meanwhile, None
            await meanwhile()
        return encoded == f"hash of {secret}"


@dataclass(frozen=True, slots=True)
class Owed:
    """A letter that is owed."""

    letter: str
    to: str
    params: dict[str, Any] = field(default_factory=dict)


class House:
    """The journeys, and what a test asks them by."""

    def __init__(self, path: Path, db: Db, *, rule: AddressRule | None = None) -> None:
        self.path = path
        self.db = db
        self.clock = FakeClock()
        self.dice = FixedDice()
        self.keys = Keys({name: (hashlib.sha256(name.encode()).digest(),) for name in ("address", "lookup", "links", "web")})
        self.vault = AddressVault(self.keys, self.dice)
        self.book = AddressBook(self.vault, self.dice)
        self.links = Links(self.keys.ring("links"), "https://touroku.example.jp")
        self.passwords = CountedPasswords()
        self.wakes = 0
        self.means = Means(
            db=db,
            links=self.links,
            passwords=self.passwords,
            digests=Digests(self.keys),
            clock=self.clock,
            dice=self.dice,
            timezone="Asia/Tokyo",
            rule=rule or AddressRule(),
            wake=self._wake,
        )
        self.join = Join(self.means)
        self.keep = Keep(self.means)
        self.forget = Forget(db=db, clock=self.clock)
        self.code = ""

    def _wake(self) -> None:
        self.wakes += 1

    async def ask(self, sql: str, params: Params = ()) -> list[Row]:
        """Rows of a statement."""
        async with self.db.read() as tx:
            return await tx.fetch(sql, params)

    async def count(self, table: str) -> int:
        return int((await self.ask(f"SELECT COUNT(*) AS n FROM {table}"))[0]["n"])

    async def change(self, sql: str, params: Params = ()) -> None:
        """Do to the store what no journey does."""
        async with self.db.write() as tx:
            await tx.run(sql, params)

    async def written_by(self, act: Awaitable[object]) -> list[str]:
        """The first words of the statements that the writer runs for an act."""
        statements: list[str] = []
        await self.db._writer.set_trace_callback(statements.append)
        await act
        await self.db._writer.set_trace_callback(None)  # type: ignore[arg-type]  # None is "no more", the stubs do not know
        return [statement.split()[0] for statement in statements]

    # Schools

    async def open_school(self, slug: str = "kita-es") -> int:
        """A school with two classes in grade 3; its code is the one that forms carry from now on."""
        async with self.db.write() as tx:
            school_id = await schools.add_school(tx, slug=slug, name="北小学校", kind="elementary")
            assert school_id is not None
            for name in ("1", "つばさ"):
                await schools.add_class(tx, school_id=school_id, grade=3, slug="1" if name == "1" else "tsubasa", name=name)
            self.code = await new_registration_code(tx, school_id=school_id, dice=self.dice, now=self.clock.now())
        return school_id

    async def on_roster(self, name: str = "高橋 花子", kana_key: str = "タカハシハナコ", *, school_id: int = 1, class_id: int = 1) -> int:
        """A child of the school's roster, in class 3-1; the id."""
        async with self.db.write() as tx:
            return await people.add_pupil(
                tx, school_id=school_id, grade=3, class_id=class_id, name=name, kana=kana_key, kana_key=kana_key, on_roster=True
            )

    # Mail

    async def address_id(self, address: str) -> int:
        async with self.db.write() as tx:
            return await self.book.enter(tx, parse_spec(address), now=self.clock.now())

    async def invited(self, address: str = MOTHER) -> str:
        """The token of a fresh invitation, as a blank mail makes it."""
        now, link_id = self.clock.now(), self.dice.octets(ID_BYTES)
        address_id = await self.address_id(address)
        async with self.db.write() as tx:
            await invitations.add_answer(tx, address_id=address_id, now=now)
            made = await invitations.add_invitation(
                tx,
                link_id=link_id,
                code_index=self.links.code_index(self.links.short_code(link_id)),
                address_id=address_id,
                now=now,
                expires_at=later(now, INVITATION_LIFETIME),
            )
        assert made is not None
        return self.links.invitation_token(link_id, later(now, INVITATION_LIFETIME))

    async def owed(self) -> list[Owed]:
        """What is owed since the last look, in order; from now on it is handed over."""
        rows = await self.ask(
            """
            SELECT o.id, o.letter, o.params, a.id AS address_id, a.sealed
              FROM outbox o JOIN address a ON a.id = o.address_id
             WHERE o.state = 'pending' AND o.letter IS NOT NULL ORDER BY o.id
            """
        )
        await self.hand_over()
        return [
            Owed(row["letter"], self.vault.open_address(row["sealed"], row["address_id"]), json.loads(row["params"]))
            for row in rows
        ]

    async def hand_over(self) -> None:
        """The sender has been round."""
        await self.change(
            "UPDATE outbox SET state = 'handed_over', handed_over_at = :now WHERE state = 'pending'", {"now": self.clock.now()}
        )

    async def a_copy(self, address: str, *, state: str = "handed_over", broadcast_id: int | None = None) -> int:
        """A mail to an address, of a broadcast or some letter; the id of its delivery."""
        now, address_id = self.clock.now(), await self.address_id(address)
        async with self.db.write() as tx:
            made = await outbox.enqueue_letter(
                tx, letter="stopped", params="{}", address_id=address_id, lane=Lane.SINGLE, now=now, due_at=now,
                expires_at=later(now, HOUR),
            )  # fmt: skip
            await tx.run(
                """
                UPDATE outbox SET state = :state, broadcast_id = :broadcast, letter = CASE WHEN :broadcast IS NULL THEN letter END,
                       handed_over_at = CASE WHEN :state = 'handed_over' THEN :now END, lease_node = 'gate', leased_until = :until
                 WHERE id = :id
                """,
                {"id": made, "state": state, "broadcast": broadcast_id, "now": now, "until": later(now, MINUTE)},
            )
        return made

    # Families

    async def registered(self, address: str = MOTHER, *, token: str = "", **fields: str) -> Registered:
        """A registration by a fresh link; its letters are out."""
        done = await self.register(address, token=token, **fields)
        assert isinstance(done, Registered), done
        await self.hand_over()
        return done

    async def register(self, address: str = MOTHER, *, token: str = "", **fields: str) -> Registered | NotRegistered | LinkDead:
        """The form of a fresh link, or of the one given."""
        token = token or await self.invited(address)
        return await self.join.register(token, replace(FORM, code=self.code, **fields))

    async def added(self, address: str, *, login_id: str = FORM.login_id, kind: str = "guardian", label: str = "") -> Registered:
        """An address added by password; its letters are out."""
        done = await self.join.add(
            await self.invited(address), login_id=login_id, password=PASSWORD, label=label, kind=kind, client=HERE
        )
        assert isinstance(done, Registered), done
        await self.hand_over()
        return done

    async def replaced(self, address: str, *, login_id: str = FORM.login_id, password: str = PASSWORD) -> Registered:
        """The one address of an ID replaced."""
        done = await self.join.replace(await self.invited(address), login_id=login_id, password=password, client=HERE)
        assert isinstance(done, Registered), done
        return done

    async def logged_in(self, login_id: str = FORM.login_id, password: str = PASSWORD, client: Client = HERE) -> str:
        """The session of a fresh login."""
        done = await self.keep.login(login_id=login_id, password=password, client=client)
        assert isinstance(done, LoggedIn), done
        return done.session

    async def me(self, session: str) -> Me:
        me = await self.keep.me(session)
        assert me is not None
        return me

    async def contact(self, session: str, address: str) -> str:
        """How a form names one of the addresses of a registration."""
        (row,) = await self.ask("SELECT id FROM contact WHERE address_id = ?", (await self.address_id(address),))
        assert str(row["id"]) in {line.id for line in (await self.me(session)).contacts}
        return str(row["id"])

    async def one_time_code(self, login_id: str = FORM.login_id) -> str:
        """A code that the school hands out."""
        async with self.db.write() as tx:
            row = await logins.login_of(tx, login_id)
            assert row is not None
            return await issue_code(
                tx, registration_id=row["id"], digests=self.means.digests, dice=self.dice, now=self.clock.now()
            )

    async def addresses(self, login_id: str = FORM.login_id) -> list[str]:
        """The addresses of an ID, oldest first."""
        rows = await self.ask(
            """
            SELECT a.id, a.sealed FROM contact c
              JOIN address a ON a.id = c.address_id JOIN registration r ON r.id = c.registration_id
             WHERE r.login_id = ? ORDER BY c.id
            """,
            (login_id,),
        )
        return [self.vault.open_address(row["sealed"], row["id"]) for row in rows]

    async def undo_token(self, change_id: int) -> str:
        """The link that a letter about this change carries."""
        async with self.db.read() as tx:
            change = await changes.change_by_id(tx, change_id)
        assert change is not None
        assert change["undoable"]
        return self.links.undo_token(change["link_id"], Instant(change["made_at"]))

    async def tidy(self, passed: int = MINUTE) -> None:
        """Time passes, then housekeeping comes."""
        self.clock.pass_(passed)
        await self.forget.tidy()


async def house_at(path: Path, *, rule: AddressRule | None = None) -> AsyncIterator[House]:
    """An empty house."""
    db = await Db.open(make_database(path))
    yield House(path, db, rule=rule)
    await db.close()


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    """A house with one school. The room's conftest.py imports this fixture by name."""
    async for made in house_at(tmp_path / "mailgate.db"):
        await made.open_school()
        yield made

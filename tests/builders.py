"""A whole gate in one process: the real store, vaults, journeys and templates, without sockets.

The clock and the dice hold still, and argon2 costs nothing. What people do is a method: post a mail, read what is owed, fill in the form,
write as staff, press a button.
"""

import hashlib
import re
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from ipaddress import ip_network
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from mailgate.core.addresses import parse_path, parse_spec
from mailgate.core.inbound import Inbound
from mailgate.core.instants import MINUTE, later
from mailgate.core.registration import Form
from mailgate.core.relay import Copy
from mailgate.core.returnpath import Slot
from mailgate.footing import Footing, house_of
from mailgate.journeys.addressbook import AddressBook
from mailgate.journeys.allowance import Allowance
from mailgate.journeys.forget import Forget
from mailgate.journeys.inbox import Inbox
from mailgate.journeys.join import Join, Registered
from mailgate.journeys.keep import Keep
from mailgate.journeys.life import Expander
from mailgate.journeys.links import Links
from mailgate.journeys.ports import Unmakeable
from mailgate.journeys.reach import Reach
from mailgate.journeys.schools import new_registration_code
from mailgate.journeys.send import Action, ActionRefused, BroadcastView, Send
from mailgate.journeys.stop import Stop
from mailgate.settings import Dns, Settings
from mailgate.store import broadcasts, migrate, outbox, people, schools, staff
from mailgate.store.db import Db, Params, Row
from mailgate.store.outbox import Claimed, Mark
from mailgate.vault import AddressVault, Digests, Keys, TextVault
from mailgate.wiring import inbox_of, means_of, send_of, writing_of
from tests.fakes import CheapPasswords, FakeClock, FixedDice
from tests.letters.builders import read, text_of

DOMAIN = "gate.example.jp"
PIN = "135790"
TEACHER = "yamakawa@kita-es.example.jp"
BLANK = b"\r\n"
FORM = Form(
    login_id="hanako2026",
    password="yuki-no-asa-5",
    name="苫小牧 花子",
    kana="とまこまい はなこ",
    grade="3",
    class_name="1",
    label="母のスマホ",
)


def a_key(name: str) -> bytes:
    """A key of 32 octets, the same for the same name."""
    return hashlib.sha256(name.encode()).digest()


def some_keys(**rings: tuple[bytes, ...]) -> Keys:
    """A gate's keys; a ring that is not given has one key."""
    return Keys({name: rings.get(name, (a_key(name),)) for name in ("address", "lookup", "links", "web")})


@cache
def _migrated() -> bytes:
    """A database as `mailgate migrate` makes it."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "mailgate.db"
        migrate.upgrade(path)
        return path.read_bytes()


def a_database(path: Path) -> Path:
    """A fresh database of this version; making one costs a copy."""
    path.write_bytes(_migrated())
    return path


def staff_mail(
    sender: str, *, subject: str = "遠足", text: str = "あすは遠足です。", message_id: str = "<1@x.example.jp>", head: str = ""
) -> bytes:
    """A plain staff mail in UTF-8."""
    lines = f"From: {sender}\r\nSubject: {subject}\r\nMessage-ID: {message_id}\r\n{head}"
    return (lines + "Content-Type: text/plain; charset=UTF-8\r\n\r\n" + text.replace("\n", "\r\n") + "\r\n").encode()


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """A mail of ours, as it would have gone out."""

    row: Claimed
    copy: Copy

    @property
    def to(self) -> str:
        return self.copy.recipient

    @property
    def letter(self) -> str:
        return self.row.letter or "broadcast"

    @property
    def octets(self) -> bytes:
        return self.copy.content

    @property
    def text(self) -> str:
        return text_of(self.copy.content)

    def header(self, name: str) -> str:
        return str(read(self.copy.content)[name])

    def token(self, page: str) -> str:
        """The token of the one link to that page."""
        (token,) = re.findall(rf"^http\S+/{page}/(\S+)$", self.text, re.MULTILINE)
        return str(token)


class Town:
    """A gate and its people."""

    def __init__(self, path: Path, db: Db, keys: Keys | None = None, clock: FakeClock | None = None) -> None:
        self.path = path
        self.db = db
        self.keys = keys or some_keys()
        self.clock = clock or FakeClock()
        self.wakes = 0
        self._mails = 0
        dice = FixedDice()
        settings = Settings(folder=path.parent, dns=Dns(servers="none"))
        self.vault = AddressVault(self.keys, dice)
        self.book = AddressBook(self.vault, dice)
        self.links = Links(self.keys.ring("links"), settings.gate.public_url)
        self.footing = Footing(
            settings=settings,
            db=db,
            keys=self.keys,
            links=self.links,
            texts=TextVault(self.keys, dice),
            digests=Digests(self.keys),
            passwords=CheapPasswords(),
            house=house_of(settings),
            clock=self.clock,
            dice=dice,
        )
        links, texts = self.links, self.footing.texts
        means = means_of(self.footing, self.wake)
        self.join = Join(means)
        self.keep = Keep(means)
        self.forget = Forget(db=db, clock=self.clock)
        self.send: Send = send_of(self.footing, wake=self.wake)
        self.reach = Reach(db=db, links=links, texts=texts, board=settings.gate.board, clock=self.clock)
        self.stop = Stop(db=db, links=links, clock=self.clock)
        self.inbox: Inbox = inbox_of(self.footing, self.vault, Allowance([ip_network("0.0.0.0/0")]), self.wake)
        self.writing = writing_of(self.footing, self.vault)
        self.expander = Expander(db=db, clock=self.clock)

    def wake(self) -> None:
        self.wakes += 1

    # The store

    async def ask(self, sql: str, params: Params = ()) -> list[Row]:
        """Rows of a statement."""
        async with self.db.read() as tx:
            return await tx.fetch(sql, params)

    async def change(self, sql: str, params: Params = ()) -> int:
        """Do to the store what no journey does; how many rows it touched."""
        async with self.db.write() as tx:
            return await tx.run(sql, params)

    def stored(self) -> bytes:
        """All octets of the database file and its WAL."""
        return self.path.read_bytes() + self.path.with_name(self.path.name + "-wal").read_bytes()

    async def count(self, table: str) -> int:
        return int((await self.ask(f"SELECT COUNT(*) AS n FROM {table}"))[0]["n"])

    # Schools and staff

    async def a_school(
        self, slug: str = "kita-es", *, name: str = "北小学校", kind: str = "elementary", classes: Sequence[str] = ("3-1", "3-2=つばさ")
    ) -> str:
        """A school with its classes (GRADE-SLUG[=NAME]); its registration code."""
        now = self.clock.now()
        async with self.db.write() as tx:
            school_id = await schools.add_school(tx, slug=slug, name=name, kind=kind)
            assert school_id is not None
            for each in classes:
                place, _, called = each.partition("=")
                grade, _, class_slug = place.partition("-")
                await schools.add_class(tx, school_id=school_id, grade=int(grade), slug=class_slug, name=called or class_slug)
            return await new_registration_code(tx, school_id=school_id, dice=self.footing.dice, now=now)

    async def code_of(self, slug: str = "kita-es") -> str:
        """A school's registration code."""
        async with self.db.read() as tx:
            school = await schools.school_by_slug(tx, slug)
            assert school is not None
            code = await schools.newest_code(tx, school["id"])
            assert code is not None
            return str(code["code"])

    async def enrolled(self, address: str = TEACHER, *, scope: str = "all", name: str = "山川 校長") -> int:
        """A staff member whose PIN is PIN; the id."""
        pin_hash = await self.footing.passwords.hash(PIN)
        async with self.db.write() as tx:
            staff_id = await staff.next_id(tx)
            address_id = await self.book.enter(tx, parse_spec(address), now=self.clock.now())
            assert await staff.add_staff(
                tx,
                staff_id=staff_id,
                address_id=address_id,
                name=name,
                role="school",
                scope=scope,
                pin_hash=pin_hash,
                submission_hash=pin_hash,
                totp_sealed=self.footing.texts.seal_totp(b"totp", staff_id),
                now=self.clock.now(),
            )
        return staff_id

    # Mail in and out

    async def post(self, sender: str, *to: str, content: bytes = BLANK, peer: str = "192.0.2.1") -> None:
        """A mail comes in. `to` are boxes, with or without our domain."""
        mail = Inbound(
            sender=parse_path(f"<{sender}>"),
            recipients=tuple(parse_spec(each if "@" in each else f"{each}@{DOMAIN}") for each in to),
            peer=peer,
            received_at=self.clock.now(),
            content=content,
        )
        await self.inbox.receive(mail)

    async def claimed(self) -> list[Claimed]:
        """What is due now, in the hands of a sender."""
        now = self.clock.now()
        async with self.db.write() as tx:
            rows = await outbox.due(tx, now=now, limit=10_000)
            return await outbox.claim(tx, rows, now=now, until=later(now, 15 * MINUTE), node="gate")

    async def written(self, rows: Sequence[Claimed] | None = None) -> list[Copy | Unmakeable]:
        """Some rows written, else what is due now."""
        made: list[Copy | Unmakeable] = []
        await self.writing.write(await self.claimed() if rows is None else rows, made.extend)
        return made

    async def sent(self) -> list[Sent]:
        """What was due, written and handed over, the most urgent first."""
        rows = await self.claimed()
        made = {each.id: each for each in await self.written(rows)}
        gone = []
        for row in rows:
            copy = made[row.id]
            assert isinstance(copy, Copy), f"{row.letter} cannot be made"
            gone.append(Sent(row=row, copy=copy))
        marks = [Mark(id=row.id, phase="eod", code=250, enhanced=None, text="ok") for row in rows]
        async with self.db.write() as tx:
            await outbox.mark_handed_over(tx, marks, now=self.clock.now())
        return gone

    async def addresses(self, broadcast_id: int = 1) -> list[str]:
        """To whom a broadcast has deliveries, by address id."""
        rows = await self.ask(
            """
            SELECT a.id, a.sealed FROM outbox o JOIN address a ON a.id = o.address_id
             WHERE o.broadcast_id = ? ORDER BY a.id
            """,
            (broadcast_id,),
        )
        return [self.vault.open_address(row["sealed"], row["id"]) for row in rows]

    # Guardians

    async def invited(self, sender: str) -> Sent:
        """A blank mail and its answer."""
        self._mails += 1
        await self.post(sender, "touroku", content=f"Message-ID: <{self._mails}@phone>\r\n\r\n".encode())
        (invitation,) = [mail for mail in await self.sent() if (mail.to, mail.letter) == (sender, "invitation")]
        return invitation

    async def registered(self, sender: str, *, school: str = "kita-es", token: str | None = None, **fields: str) -> Registered:
        """Blank mail to registration; the login ID is the sender's local part unless given."""
        token = token or (await self.invited(sender)).token("j")
        form = replace(FORM, code=await self.code_of(school), **{"login_id": f"id-{sender.partition('@')[0]}"[:32], **fields})
        done = await self.join.register(token, form)
        assert isinstance(done, Registered), done
        return done

    async def a_contact(
        self, address: str, *, school: str = "kita-es", grade: int | None = 3, class_slug: str | None = None,
        name: str = "苫小牧 花子", on_roster: bool = False, kind: str = "guardian", paused: bool = False,
    ) -> int:  # fmt: skip
        """A pupil with one registration and one contact, written straight into the store; the pupil's id."""
        now = self.clock.now()
        async with self.db.write() as tx:
            row = await schools.school_by_slug(tx, school)
            assert row is not None
            classes = {(each["grade"], each["slug"]): each["id"] for each in await schools.classes_of(tx, row["id"])}
            pupil_id = await people.add_pupil(
                tx,
                school_id=row["id"],
                grade=grade,
                class_id=classes[grade, class_slug] if class_slug else None,
                name=name,
                kana=name,
                kana_key=name,
                on_roster=on_roster,
            )
            address_id = await self.book.enter(tx, parse_spec(address), now=now)
            login_id = f"id-{pupil_id}"
            registration_id = await people.add_registration(
                tx, login_id=login_id, login_key=login_id, password_hash="none", pupil_id=pupil_id, name=name, kana=name, now=now
            )
            assert registration_id is not None
            await people.add_contact(
                tx, registration_id=registration_id, address_id=address_id, kind=kind, label="母", now=now
            )
            if paused:
                await people.pause_address(tx, address_id=address_id, now=now)
        return pupil_id

    # Broadcasts

    async def drafted(self, *audiences: str, sender: str = TEACHER, **mail: str) -> str:
        """A staff mail and its preview; the token of the broadcast's page."""
        self._mails += 1
        message_id = mail.pop("message_id", f"<{self._mails}.town@x.example.jp>")
        content = staff_mail(sender, message_id=message_id, **mail)
        await self.post(sender, *(f"haishin+{audience}" for audience in audiences), content=content)
        previews = [sent for sent in await self.sent() if sent.letter == "preview"]
        return previews[-1].token("send")

    async def act(self, token: str, action: Action, *, pin: str = PIN, seen: str = "") -> BroadcastView | str:
        """Press a button on a broadcast's page; the page again, or why not."""
        done = await self.send.act(token, action, pin=pin, seen=seen)
        match done:
            case BroadcastView():
                return done
            case ActionRefused(reason=reason):
                return reason
            case _:
                return done.reason

    async def confirmed(self, *audiences: str, sender: str = TEACHER, **mail: str) -> str:
        """The same, confirmed."""
        token = await self.drafted(*audiences, sender=sender, **mail)
        assert isinstance(await self.act(token, "confirm"), BroadcastView)
        return token

    async def expanded(self) -> None:
        """The sender has written all deliveries of all broadcasts."""
        while await self.expander.step():
            pass

    async def state(self, broadcast_id: int = 1) -> str:
        async with self.db.read() as tx:
            row = await broadcasts.broadcast_by_id(tx, broadcast_id)
            assert row is not None
            return str(row["state"])

    def receipt_token(self, outbox_id: int) -> str:
        return self.links.tokens(outbox_id)[Slot.RECEIPT]


async def town_at(path: Path) -> AsyncIterator[Town]:
    """A fresh gate at a path."""
    db = await Db.open(a_database(path))
    yield Town(path, db)
    await db.close()


@pytest.fixture
async def town(tmp_path: Path) -> AsyncIterator[Town]:
    """A fresh gate. A room's conftest.py imports this fixture by name."""
    async for fresh in town_at(tmp_path / "mailgate.db"):
        yield fresh

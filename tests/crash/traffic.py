"""All that comes at a gate at once, and what was promised to those it came from.

One round: a broadcast to the whole city and, once its first copies are out, an alarm over it; guardians who write blank mails and
register; staff whose draft nobody confirms; receipts by reply and by button, bounces, mail to the postmaster. Every mail is brought twice.
Everybody asks until there is an answer, and only an answer makes a promise.

`passes` is called in the moment of each answer, so that a gate can be killed right behind it.
"""

import asyncio
import re
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from email.utils import parseaddr
from random import Random
from typing import Any, Final, Literal  # Any: what a coroutine may be sent

from mailgate.journeys.sample import SAMPLE_PIN
from tests.crash.peers import Peers
from tests.crash.record import Copy, Record
from tests.crash.victim import sample
from tests.journeys.gate import DOMAIN, staff_mail

Moment = Literal["invited", "registered", "drafted", "confirmed", "bounced", "read", "pressed", "passed on"]

BOARD: Final = "n.sasahara@kyoiku.example.jp"
ALARMIST: Final = "m.yoshioka@kyoiku.example.jp"
HEAD: Final = "k.toki@kita-es.example.jp"
JOIN: Final = f"touroku@{DOMAIN}"
OPERATOR: Final = "root@localhost"
REPORT: Final = (
    b"Content-Type: multipart/report; report-type=delivery-status; boundary=x\r\n\r\n--x\r\n"
    b"Content-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; mx.example\r\n\r\n"
    b"Final-Recipient: rfc822; a@ezweb.ne.jp\r\nAction: failed\r\nStatus: 5.1.1\r\n\r\n--x--\r\n"
)


@dataclass(frozen=True, slots=True)
class Confirmed:
    """A broadcast whose confirmation was answered: who must have it, and who may."""

    must: frozenset[str]
    may: frozenset[str]


@dataclass(slots=True)
class Promises:
    """What was answered with 250 or 303, and by whom it was asked."""

    invited: set[str] = field(default_factory=set)
    registered: dict[str, str] = field(default_factory=dict)  # login ID: address
    drafted: set[str] = field(default_factory=set)  # subjects
    confirmed: dict[str, Confirmed] = field(default_factory=dict)  # by subject
    bounced: set[str] = field(default_factory=set)  # Message-IDs
    read: set[str] = field(default_factory=set)  # Message-IDs
    passed_on: int = 0  # mails to the operator

    @property
    def count(self) -> int:
        lists = (self.invited, self.registered, self.drafted, self.confirmed, self.bounced, self.read)
        return sum(map(len, lists)) + self.passed_on


class Traffic:
    """Everybody who deals with one gate."""

    def __init__(
        self, peers: Peers, record: Record, *, code: str, dice: Random, passes: Callable[[Moment], None] = lambda _: None
    ) -> None:
        self._peers = peers
        self._record = record
        self._code = code
        self._dice = dice
        self._passes = passes
        self._round = self._written = 0
        self._asked: set[str] = set()  # addresses whose registration was asked for: a broadcast may reach them
        self._city = _addresses()
        self.promises = Promises()

    async def one_round(self) -> None:
        """Let everything happen; returns when everybody has his answer."""
        self._round += 1
        name = f"{self._round}"
        families = [f"kazoku.{name}..{number}@docomo.ne.jp" for number in range(5)]
        acts: list[Coroutine[Any, Any, object]] = [
            self.broadcast(BOARD, "all", f"運動会のお知らせ{name}号"),
            self._alarm(f"【緊急連絡】臨時休業{name}号"),
            self.draft(HEAD, "kita-es", f"下書き{name}号"),
            self.to_operator(name),
            self._answers(),
            *[self._family(address, registers=number < 2) for number, address in enumerate(families)],
        ]
        async with asyncio.TaskGroup() as group:
            for act in acts:
                group.create_task(self._soon(act))

    async def _soon(self, act: Coroutine[Any, Any, object]) -> None:
        await asyncio.sleep(min(self._dice.random() * 0.2, 0.2))
        await act

    async def _bring(self, sender: str, recipient: str, content: bytes, *, then: Callable[[], None]) -> None:
        """Hand a mail in, and the very same again, as a peer that did not hear the answer."""
        await self._peers.deliver(sender, recipient, content, then=then)
        await self._peers.deliver(sender, recipient, content)

    def _told(self, moment: Moment, note: Callable[[], object]) -> Callable[[], None]:
        def then() -> None:
            note()
            self._passes(moment)

        return then

    # Guardians

    async def _family(self, address: str, *, registers: bool) -> None:
        await self.ask_to_join(address)
        if registers:
            await self.register(address)

    async def ask_to_join(self, address: str) -> None:
        """A blank mail."""
        invited = self.promises.invited
        await self._bring(address, JOIN, b"\r\n", then=self._told("invited", lambda: invited.add(address)))

    async def register(self, address: str) -> None:
        """From the invitation to the registration."""
        invitation = await self._record.mail(address, saying="/j/")
        self._asked.add(address)
        login = "kazoku" + re.sub(r"\D", "-", address.partition("@")[0])[6:]
        kana = "".join(chr(ord("ア") + 2 * int(digit)) for digit in re.sub(r"\D", "", address))
        fields = {
            "code": self._code, "login_id": login, "password": "yuki-no-asa-5", "name": f"北 {kana}", "kana": kana,
            "grade": "3", "class_name": "1", "label": "母のスマホ", "kind": "guardian",
        }  # fmt: skip
        registered = self.promises.registered
        told = self._told("registered", lambda: registered.update({login: address}))
        status = await self._peers.post(f"{_link(invitation.get_content(), 'j')}/new", fields, then=told)
        assert status == 303, f"a good form was answered {status}"

    # Staff

    async def draft(self, sender: str, audience: str, subject: str) -> str:
        """A staff mail to its preview; the link in that."""
        to = f"haishin+{audience}@{DOMAIN}"
        self._written += 1
        mail = staff_mail(sender, to, subject, f"{subject}について\nご確認ください。", f"<{self._written}@x.example.jp>")
        told = self._told("drafted", lambda: self.promises.drafted.add(_bare(subject)))
        await self._bring(sender, to, mail, then=told)
        preview = await self._record.mail(sender, saying=_bare(subject))
        return _link(preview.get_content(), "send")

    async def broadcast(self, sender: str, audience: str, subject: str) -> None:
        """A staff mail to its confirmation."""
        link = await self.draft(sender, audience, subject)
        assert _bare(subject) in await self._peers.get(link)
        must = frozenset(self._city[audience] | self._registered(audience))

        def note() -> None:
            may = frozenset(self._asked if audience in ("all", "kita-es") else ())
            self.promises.confirmed[_bare(subject)] = Confirmed(must, must | may)

        status = await self._peers.post(link, {"action": "confirm", "pin": SAMPLE_PIN}, then=self._told("confirmed", note))
        if status == 409:  # the answer to an earlier press was lost: it is confirmed, and the page says so
            assert "下書き" not in await self._peers.get(link)
            note()
        else:
            assert status == 303, f"a good confirmation was answered {status}"

    async def _alarm(self, subject: str) -> None:
        """Over a broadcast whose copies are on their way."""
        begun = len(self._record.copies)
        await self._record.until(lambda: len(self._record.copies) > begun + 60)
        await self.broadcast(ALARMIST, self._dice.choice(("chuo-jhs", "kita-es")), subject)

    # What comes back

    async def _answers(self) -> None:
        """Bounces, receipts by reply, and a press of the button, each for another copy of this round."""
        begun = len(self._record.copies)
        chosen: set[str] = set()  # Message-IDs
        for wanted, act in ((40, self.bounce), (80, self.read), (200, self.press), (300, self.bounce), (400, self.read)):
            await self._record.until(lambda wanted=wanted: len(self._copies(begun)) > wanted)  # type: ignore[misc]  # bound now, not later
            copy = self._dice.choice([copy for copy in self._copies(begun) if copy.message_id not in chosen])
            chosen.add(copy.message_id)
            await act(copy)

    def _copies(self, since: int) -> list[Copy]:
        """Copies of broadcasts: staff and those who are just joining get other mails, too."""
        city = self._city["all"]
        return [copy for copy in self._record.copies[since:] if copy.recipient in city]

    async def bounce(self, copy: Copy) -> None:
        told = self._told("bounced", lambda: self.promises.bounced.add(copy.message_id))
        await self._bring("", copy.sender, REPORT, then=told)

    async def read(self, copy: Copy) -> None:
        reply_to = parseaddr(str(self._record.message(copy)["Reply-To"]))[1]
        told = self._told("read", lambda: self.promises.read.add(copy.message_id))
        await self._bring(copy.recipient, reply_to, b"\r\n", then=told)

    async def press(self, copy: Copy) -> None:
        link = _link(str(self._record.message(copy).get_content()), "k")
        told = self._told("pressed", lambda: self.promises.read.add(copy.message_id))
        status = await self._peers.post(link, {}, then=told)
        assert status == 303, f"a receipt was answered {status}"

    async def to_operator(self, name: str) -> None:
        """Mail to the postmaster, who is a person elsewhere."""

        def note() -> None:
            self.promises.passed_on += 1

        content = f"Message-ID: <{name}@stranger.example.com>\r\nSubject: {name}\r\n\r\nHello.".encode()
        await self._bring("stranger@example.com", f"postmaster@{DOMAIN}", content, then=self._told("passed on", note))

    def _registered(self, audience: str) -> set[str]:
        """Those who registered here, by this suite: all in one class of one school."""
        return set(self.promises.registered.values()) if audience in ("all", "kita-es") else set()


def _addresses() -> dict[str, set[str]]:
    """The registered addresses of the sample city, by audience."""
    schools = {row["login_id"]: row["school"] for row in sample("pupils") if row["login_id"]}
    city: dict[str, set[str]] = {"all": set()}
    for row in sample("contacts"):
        city["all"].add(row["address"])
        city.setdefault(schools[row["login_id"]], set()).add(row["address"])
    return city


def _bare(subject: str) -> str:
    """A subject without its tag."""
    return subject.rpartition("】")[2]


def _link(text: str, page: str) -> str:
    found = re.search(rf"http://127\.0\.0\.1:1/{page}/\S+", text)
    assert found is not None, text
    return found[0]

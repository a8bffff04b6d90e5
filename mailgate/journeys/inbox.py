"""The inbox: what comes in by mail, taken in one transaction each.

The listener says 250 when `receive` has returned, and by then everything the mail causes is committed: the row that answers it, the
draft it became, the state it changed. Parsing happens before the transaction. A mail that makes the parsing stumble is kept sealed and
taken all the same: the next one must be served, and somebody can look at it later.

The same mail again (a peer that did not hear our 250) is known by its digest and changes nothing.
"""

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

import structlog

from mailgate.core import answering, headers, inbound, replies, reports, routing, text
from mailgate.core.addresses import NULL_PATH, Address, NullPath
from mailgate.core.admission import Admission
from mailgate.core.delivery import LIFETIME, Event, Lane
from mailgate.core.headers import Headers
from mailgate.core.inbound import Inbound
from mailgate.core.instants import HOUR, MINUTE, Instant, later
from mailgate.core.returnpath import Slot
from mailgate.core.routing import Box, BoxNames, Operator, Replies, ToBounce, ToBroadcast, ToReceipt
from mailgate.journeys.addressbook import AddressBook
from mailgate.journeys.answers import Answers
from mailgate.journeys.draft import Drafter, StaffMail
from mailgate.journeys.guardians import GuardianBox, GuardianMail, Guardians
from mailgate.journeys.links import Links
from mailgate.journeys.safekeeping import Safe
from mailgate.logs import fault_of
from mailgate.runtime import Clock, Dice
from mailgate.store import invitations, outbox, staff
from mailgate.store.db import Db, Row, Tx
from mailgate.vault import AddressVault

log = structlog.get_logger()

ORDINARY_SIZE: Final = 2**20
STAFF_SIZE: Final = 15 * 2**20
_SEEN_FOR: Final = 10 * MINUTE
# What is no sign of a machine: a receipt or a stop from such a mail is a person's. Its token says for which copy.
_BY_A_PERSON: Final = frozenset({None, "differs", "recipients"})
_REPORTED: Final[Mapping[str, Literal[Event.NOTICE_DELIVERED, Event.NOTICE_BOUNCED]]] = {
    "failed": Event.NOTICE_BOUNCED,
    "delivered": Event.NOTICE_DELIVERED,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Parsed:
    """A mail and all that was read of it before the transaction."""

    mail: Inbound
    headers: Headers
    boxes: tuple[Box, ...]
    silence: str | None  # what the mail itself says against an answer
    guardian: GuardianMail
    report: reports.Report | None
    text: text.MailText | None
    digest: bytes

    @property
    def is_brief(self) -> bool:
        """Whether all that it causes is a few rows. A draft counts its audience, and a mail that goes on is kept whole."""
        return not any(isinstance(box, ToBroadcast | Operator) for box in self.boxes)


class Inbox:
    """Takes mail; the Door that the listener asks."""

    def __init__(
        self,
        *,
        db: Db,
        vault: AddressVault,
        book: AddressBook,
        links: Links,
        guardians: Guardians,
        drafter: Drafter,
        domain: str,
        names: BoxNames,
        operator: Address,
        answers: Answers,
        clock: Clock,
        dice: Dice,
        wake: Callable[[], None],
    ) -> None:
        self._db = db
        self._vault = vault
        self._book = book
        self._links = links
        self._guardians = guardians
        self._drafter = drafter
        self._domain = domain
        self._names = names
        self._operator = operator
        self._answers = answers
        self._clock = clock
        self._safe = Safe(vault, dice)
        self._wake = wake

    def admits(self, recipient: Address) -> Admission:
        """Whether a recipient is one of our boxes."""
        if not routing.is_ours(recipient, self._domain):
            return Admission.FOREIGN
        known = routing.route(recipient, domain=self._domain, names=self._names) is not None
        return Admission.OURS if known else Admission.UNKNOWN

    async def size_limit(self, sender: Address | NullPath, recipients: Sequence[Address]) -> int:
        """1 MiB; 15 MiB for staff who write to an audience."""
        if sender is NULL_PATH:
            return ORDINARY_SIZE
        boxes = (routing.route(recipient, domain=self._domain, names=self._names) for recipient in recipients)
        if not any(isinstance(box, ToBroadcast) for box in boxes):
            return ORDINARY_SIZE
        async with self._db.read() as tx:
            return ORDINARY_SIZE if await self._enrolled(tx, sender) is None else STAFF_SIZE

    async def receive(self, mail: Inbound) -> None:
        """Take a mail: returns when all it causes is durable.

        Raises:
            StoreFull: no room; nothing was taken.
        """
        try:
            parsed = await self._parse(mail)
        except Exception as error:  # noqa: BLE001  # whatever a mail does to us, it must not stop the next one
            await self._quarantine(mail, error)
            return
        async with self._db.write(brief=parsed.is_brief) as tx:
            outcomes = await self._take(tx, parsed)
        for box, outcome in outcomes:
            log.info("mail.accepted", box=box, outcome=outcome)
        self._wake()

    async def _parse(self, mail: Inbound) -> _Parsed:
        found = headers.scan(mail.content)
        routed = (routing.route(recipient, domain=self._domain, names=self._names) for recipient in mail.recipients)
        boxes = tuple(box for box in routed if box is not None)
        is_bounce = any(isinstance(box, ToBounce) for box in boxes)
        is_broadcast = any(isinstance(box, ToBroadcast) for box in boxes)
        silence = answering.silence(mail, found, domain=self._domain)
        return _Parsed(
            mail=mail,
            headers=found,
            boxes=boxes,
            silence=silence,
            guardian=await self._guardian_mail(mail, found, boxes, silence),
            report=await asyncio.to_thread(reports.read_report, mail.content) if is_bounce else None,
            text=await asyncio.to_thread(text.read_text, mail.content) if is_broadcast else None,
            digest=self._vault.digest(inbound.digest_material(mail, found)),
        )

    async def _guardian_mail(
        self, mail: Inbound, found: Headers, boxes: tuple[Box, ...], silence: str | None
    ) -> GuardianMail:
        answer, proof = await self._answers.find(mail, found, boxes, silence)
        is_reply = any(isinstance(box, Replies | ToReceipt) for box in boxes)
        return GuardianMail(
            sender=mail.sender,
            peer=mail.peer,
            answer=answer,
            proof=proof,
            silence=silence,
            is_by_a_person=silence in _BY_A_PERSON,
            is_empty=is_reply and await asyncio.to_thread(replies.is_empty_reply, mail.content),
            answered=replies.answered(found, domain=self._domain) if is_reply else None,
        )

    async def _quarantine(self, mail: Inbound, error: Exception) -> None:
        """Keep a mail that made us stumble."""
        async with self._db.write() as tx:
            mail_id = await self._safe.keep(tx, mail, reason=type(error).__name__, now=self._clock.now())
        log.error("mail.quarantined", mail=mail_id, fault=fault_of(error))

    async def _take(self, tx: Tx, parsed: _Parsed) -> list[tuple[str, str]]:
        """All that a mail causes, in the open transaction; each box with a word for what came of it."""
        now = self._clock.now()
        since, until = later(now, -_SEEN_FOR), later(now, _SEEN_FOR)
        if not await invitations.see_mail(tx, digest=parsed.digest, now=now, since=since, until=until):
            log.info("mail.repeated")
            return []
        audiences = [box.audience for box in parsed.boxes if isinstance(box, ToBroadcast)]
        others = [box for box in parsed.boxes if not isinstance(box, ToBroadcast)]
        outcomes = [(_name(box), await self._into(tx, box, parsed, now)) for box in others]
        if audiences:
            outcomes.append(("broadcast", await self._draft(tx, parsed, audiences, now)))
        return outcomes

    async def _into(
        self, tx: Tx, box: GuardianBox | ToBounce | Operator, parsed: _Parsed, now: Instant
    ) -> str:
        match box:
            case ToBounce(token):
                return await self._bounce(tx, parsed, token, now)
            case Operator():
                return await self._to_operator(tx, parsed, now)
            case _:
                return await self._guardians.take(tx, box, parsed.guardian, now=now)

    async def _bounce(self, tx: Tx, parsed: _Parsed, token: str, now: Instant) -> str:
        """A report finds its delivery by the keyed token alone; a forged one changes nothing (MR-64)."""
        outbox_id = self._links.outbox_id(Slot.BOUNCE, token)
        if outbox_id is None or parsed.report is None:
            return "bounce_unknown"
        event = _REPORTED.get(parsed.report.action)
        if event is None:
            return "bounce_unfinished"
        moved = await outbox.notice(
            tx,
            outbox_id=outbox_id,
            event=event,
            reply_code=parsed.report.reply_code,
            enhanced=parsed.report.status,
            text=parsed.report.diagnostic,
            now=now,
        )
        if moved is None:
            return "bounce_known"
        log.info("delivery.noticed", delivery=outbox_id, state=moved.value)
        return "bounce_applied"

    async def _to_operator(self, tx: Tx, parsed: _Parsed, now: Instant) -> str:
        """Pass a mail on, wrapped, and answer nobody."""
        if self._comes_round(parsed):
            return "operator_loop"
        mail_id = await self._safe.keep(tx, parsed.mail, reason="operator", now=now)
        await outbox.enqueue_letter(
            tx,
            letter="for_operator",
            params=json.dumps({"kept_mail": mail_id}),
            address_id=await self._book.enter(tx, self._operator, now=now),
            lane=Lane.ORDINARY,
            now=now,
            due_at=now,
            expires_at=later(now, LIFETIME[Lane.ORDINARY]),
        )
        return "for_operator"

    def _comes_round(self, parsed: _Parsed) -> bool:
        """Mail of ours, or mail that has come a long way, would go round in circles.

        It is ours also when the operator's own server passes it on under an envelope of its own: its author still is.
        """
        author = headers.author(parsed.headers)
        return (
            parsed.silence == "own_domain"
            or (isinstance(author, Address) and routing.is_ours(author, self._domain))
            or any(self._domain in value.lower() for value in parsed.headers.all("x-loop"))
            or len(parsed.headers.all("received")) > answering.MAX_HOPS
        )

    async def _draft(self, tx: Tx, parsed: _Parsed, audiences: list[str], now: Instant) -> str:
        """A staff mail: envelope and From are one enrolled address, nothing is automatic; else silence."""
        member = await self._member(tx, parsed)
        if member is None or parsed.text is None:
            log.info("mail.silenced", reason=parsed.silence or "not_enrolled")
            return "silenced"
        # The other transactions of a mail that a relay split differ in their recipients only.
        alone = inbound.digest_material(_without_recipients(parsed.mail), parsed.headers)
        mail = StaffMail(subject=parsed.text.subject, text=parsed.text.text, source=self._vault.digest(alone))
        return await self._drafter.draft(tx, member, audiences=audiences, mail=mail, now=now)

    async def _member(self, tx: Tx, parsed: _Parsed) -> Row | None:
        sender = parsed.mail.sender
        if sender is NULL_PATH or parsed.silence not in (None, "recipients"):
            return None
        if not isinstance(headers.author(parsed.headers), Address):
            return None
        return await self._enrolled(tx, sender)

    async def _enrolled(self, tx: Tx, address: Address) -> Row | None:
        address_id = await self._book.find(tx, address)
        return None if address_id is None else await staff.staff_by_address(tx, address_id)

    async def forget(self) -> None:
        """Drop what the limits no longer look at."""
        now = self._clock.now()
        async with self._db.write() as tx:
            await invitations.forget_before(tx, seen=later(now, -_SEEN_FOR), answered=later(now, -25 * HOUR))


def _name(box: Box) -> str:
    """A box as the log calls it."""
    return type(box).__name__.removeprefix("To").lower()


def _without_recipients(mail: Inbound) -> Inbound:
    return Inbound(
        sender=mail.sender, recipients=(), peer=mail.peer, received_at=mail.received_at, content=mail.content
    )

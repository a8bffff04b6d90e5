"""Guardians' mail, box by box: asking to join, asking for IDs, replying, confirming, stopping.

- What asks for an answer is answered within the limits, to whom `answer` says, or not at all.
- A token of ours, in an address or in the Message-ID that a mail says it answers, proves which copy is meant: then it is enough that a
  person wrote. Without one it is the sender's word, and all rules for answers hold before it counts.
- A receipt by token counts whatever the mail says: who writes "thank you" has read. Without a token only an empty reply is one, for the
  newest copy that waits for it. What somebody wrote is answered once a day: nobody reads it.
- An empty reply to the notice of a stop takes the stop back: the way that phones without URLs have.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final

import structlog

from mailgate.core.addresses import NULL_PATH, Address, NullPath
from mailgate.core.answering import Silent
from mailgate.core.authentication import Proof
from mailgate.core.instants import DAY, Instant, later
from mailgate.core.returnpath import Slot
from mailgate.core.routing import AskIds, Join, Replies, ToReceipt, ToStop
from mailgate.journeys.addressbook import AddressBook
from mailgate.journeys.allowance import Allowance
from mailgate.journeys.invite import Inviter, tell_not_read
from mailgate.journeys.links import Links
from mailgate.journeys.reach import record_receipt
from mailgate.journeys.stop import pause
from mailgate.store import outbox, people, readers
from mailgate.store.db import Row, Tx

log = structlog.get_logger()

GuardianBox = Join | AskIds | Replies | ToReceipt | ToStop

# How long a copy waits for a receipt from somebody who does not say which one he means.
_OPEN_FOR: Final = 7 * DAY
# What an empty reply to it means, other than for a broadcast.
_ANSWERABLE: Final = ("completion", "stopped")


@dataclass(frozen=True, slots=True, kw_only=True)
class GuardianMail:
    """A mail to guardians' boxes, as far as they look at it."""

    sender: Address | NullPath
    peer: str
    answer: Address | Silent
    proof: Proof
    silence: str | None  # what the mail itself says against an answer
    is_by_a_person: bool
    is_empty: bool
    answered: str | None = field(repr=False)  # the token of the mail of ours that it answers


class Guardians:
    """What guardians' mail causes."""

    def __init__(self, *, book: AddressBook, links: Links, inviter: Inviter, allowance: Allowance) -> None:
        self._book = book
        self._links = links
        self._inviter = inviter
        self._allowance = allowance

    async def take(self, tx: Tx, box: GuardianBox, mail: GuardianMail, *, now: Instant) -> str:
        """Act on a mail in the open transaction; one word for the log."""
        match box:
            case Join():
                return await self._answer(mail, now, lambda sender: self._inviter.invite(tx, sender, box=box, now=now))
            case AskIds():
                return await self._answer(mail, now, lambda sender: self._inviter.list_ids(tx, sender, now=now))
            case Replies():
                return await self._reply(tx, mail, now)
            case ToReceipt(token):
                outbox_id = self._links.outbox_id(Slot.RECEIPT, token)
                row = None if outbox_id is None else await outbox.by_id(tx, outbox_id)
                if row is None or not mail.is_by_a_person:
                    return "receipt_refused"
                return await self._confirm(tx, row, mail, now)
            case ToStop(token):
                outbox_id = self._links.outbox_id(Slot.STOP, token)
                if outbox_id is None or not mail.is_by_a_person:
                    return "stop_refused"
                return "stopped" if await pause(tx, outbox_id, now=now) else "stop_known"

    async def _answer(self, mail: GuardianMail, now: Instant, owe: Callable[[Address], Awaitable[str]]) -> str:
        """Owe an answer to whom one may go, within what domains and networks may cause."""
        if isinstance(mail.answer, Silent):
            log.info("mail.silenced", reason=mail.answer.reason)
            return "silenced"
        if not self._allowance.take(mail.answer, mail.peer, mail.proof, now=now):
            return "limited"
        return await owe(mail.answer)

    async def _reply(self, tx: Tx, mail: GuardianMail, now: Instant) -> str:
        """To the From of our mails, by programs that do not look at Reply-To, and by people who have something to say."""
        if mail.is_empty:
            row = await self._answered(tx, mail) if mail.is_by_a_person else None
            if row is not None:
                return await self._confirm(tx, row, mail, now)
            done = await self._confirm_newest(tx, mail, now)
            if done is not None:
                return done
        return await self._answer(mail, now, lambda sender: self._tell(tx, sender, now))

    async def _answered(self, tx: Tx, mail: GuardianMail) -> Row | None:
        """The copy that a mail says it answers, if an empty answer to it means something."""
        outbox_id = None if mail.answered is None else self._links.outbox_id(Slot.MESSAGE_ID, mail.answered)
        row = None if outbox_id is None else await outbox.by_id(tx, outbox_id)
        return row if row is not None and (row["broadcast_id"] is not None or row["letter"] in _ANSWERABLE) else None

    async def _confirm(self, tx: Tx, row: Row, mail: GuardianMail, now: Instant) -> str:
        """A person answers this very copy."""
        if row["letter"] == "stopped" and mail.is_empty:
            return "resumed" if await people.resume_address(tx, row["address_id"]) else "stop_known"
        is_receipt = row["letter"] != "stopped"
        is_new = is_receipt and await record_receipt(tx, row["id"], way="reply", now=now)
        if not mail.is_empty and await self._is_of(tx, row, mail, now):
            await tell_not_read(tx, row["address_id"], is_receipt=is_receipt, now=now)
        return "receipt" if is_new else "receipt_known"

    async def _is_of(self, tx: Tx, row: Row, mail: GuardianMail, now: Instant) -> bool:
        """Whether a mail is from the copy's own address, and may be answered."""
        if mail.silence is not None or mail.sender is NULL_PATH:
            return False
        is_own = await self._book.find(tx, mail.sender) == row["address_id"]
        return is_own and self._allowance.take(mail.sender, mail.peer, mail.proof, now=now)

    async def _confirm_newest(self, tx: Tx, mail: GuardianMail, now: Instant) -> str | None:
        """An empty mail of somebody we write to confirms what he got last. None: nobody we write to."""
        address_id = None if isinstance(mail.answer, Silent) else await self._book.find(tx, mail.answer)
        if address_id is None:
            return None
        newest = await readers.newest_open(tx, address_id=address_id, since=later(now, -_OPEN_FOR))
        if newest is not None:
            await record_receipt(tx, newest, way="reply", now=now)
            return "receipt"
        return "reply_empty" if await readers.entries_at(tx, address_id) else None

    async def _tell(self, tx: Tx, sender: Address, now: Instant) -> str:
        address_id = await self._book.enter(tx, sender, now=now)
        told = await tell_not_read(tx, address_id, is_receipt=False, now=now)
        return "not_read" if told else "not_read_known"

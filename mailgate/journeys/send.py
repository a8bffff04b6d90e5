"""Send (J3): the page of a broadcast for its sender, from draft to done.

Mail proposes, a person disposes: the page takes the PIN, which is not in the mailbox. What is confirmed is what was looked at. Wrong PINs
are counted for the person; after some each further try has to wait, longer and longer, and nobody is locked out for good.
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal  # Any: what a row's JSON holds

import structlog

from mailgate.core import broadcast, drafting
from mailgate.core.broadcast import Event, Kind, State
from mailgate.core.delivery import Lane
from mailgate.core.instants import MINUTE, SECOND, Instant, later
from mailgate.core.tokens import Purpose, compact
from mailgate.journeys.life import move_broadcast
from mailgate.journeys.links import INVALID_LINK, LinkDead, Links
from mailgate.journeys.passwords import Passwords
from mailgate.journeys.words import audience_words
from mailgate.runtime import Clock
from mailgate.store import audiences, audit, broadcasts, receipts, staff
from mailgate.store.db import Db, Row, Tx
from mailgate.vault import TextVault

log = structlog.get_logger()

_FREE_PIN_TRIES: Final = 5
_LONGEST_PIN_WAIT: Final = 15 * MINUTE

_TEXTS: Final = ("subject", "text", "cut")

Action = Literal["confirm", "drop", "cancel", "halt", "resume"]
_EVENTS: Final[Mapping[Action, Event]] = {
    "confirm": Event.CONFIRM,
    "drop": Event.DROP,
    "cancel": Event.CANCEL,
    "halt": Event.HALT,
    "resume": Event.RESUME,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class BroadcastView:
    """A broadcast as its sender sees it. No address, no pupil's name."""

    state: State
    kind: Kind
    subject: str
    text: str
    cut: str
    audience: tuple[str, ...]
    recipients: int
    pupils: int
    unregistered: int
    warnings: tuple[str, ...]
    seen: str
    sender_name: str
    created_at: Instant
    confirmed_at: Instant | None
    done_at: Instant | None
    lapses_at: Instant
    counts: Mapping[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionRefused:
    """Why an action was not done."""

    reason: Literal["pin_wrong", "pin_wait", "pin_missing", "not_now", "changed"]
    wait_s: int = 0


class Send:
    """The page of a broadcast, and what its sender does there."""

    def __init__(
        self,
        *,
        db: Db,
        links: Links,
        texts: TextVault,
        passwords: Passwords,
        clock: Clock,
        wake: Callable[[], None],
    ) -> None:
        self._db = db
        self._links = links
        self._texts = texts
        self._passwords = passwords
        self._clock = clock
        self._wake = wake

    async def view(self, token: str) -> BroadcastView | LinkDead:
        """A broadcast as its sender sees it."""
        async with self._db.read() as tx:
            row = await self._broadcast(tx, token)
            return row if isinstance(row, LinkDead) else await self.view_row(tx, row)

    async def view_row(self, tx: Tx, row: Row) -> BroadcastView:
        """The same, of a row at hand."""
        now = self._clock.now()
        numbers = await audiences.count_audience(
            tx,
            broadcast_id=row["id"],
            alarm=row["lane"] == Lane.ALARM,
            until=Instant(row["confirmed_at"] or now),
            now=now,
        )
        recipients = row["recipients"] if row["expanded_at"] else numbers["recipients"]
        parts = await audiences.parts_of(tx, row["id"])
        counts = await receipts.delivery_counts(tx, row["id"])
        return await self._view(tx, row, parts, {**dict(numbers), "recipients": recipients}, counts)

    async def view_as_owed(self, tx: Tx, row: Row, owed: Mapping[str, Any]) -> BroadcastView:
        """The same, as it was when a preview of it was owed: tried again, that is the same mail (MR-37). No copy is counted."""
        parts = [part for part in await audiences.parts_of(tx, row["id"]) if part["part"] in owed["parts"]]
        return await self._view(tx, row, parts, owed, {})

    async def _view(
        self, tx: Tx, row: Row, parts: Sequence[Row], numbers: Mapping[str, Any], counts: Mapping[str, int]
    ) -> BroadcastView:
        broadcast_id = int(row["id"])
        member = await staff.staff_by_id(tx, row["staff_id"])
        assert member is not None
        subject, text, cut = (self._texts.open_text(row[column], column, broadcast_id) for column in _TEXTS)
        return BroadcastView(
            state=State(row["state"]),
            kind=Kind(row["kind"]),
            subject=subject,
            text=text,
            cut=cut,
            audience=tuple(audience_words(part) for part in parts),
            recipients=numbers["recipients"],
            pupils=numbers["pupils"],
            unregistered=numbers["unregistered"],
            warnings=drafting.cautions(subject, text),
            seen=_digest_of(row["kind"], subject, text, [part["part"] for part in parts]),
            sender_name=member["name"],
            created_at=Instant(row["created_at"]),
            confirmed_at=None if row["confirmed_at"] is None else Instant(row["confirmed_at"]),
            done_at=None if row["done_at"] is None else Instant(row["done_at"]),
            lapses_at=later(Instant(row["created_at"]), broadcast.DRAFT_LIFETIME),
            counts=counts,
        )

    async def act(
        self, token: str, action: Action, *, pin: str, seen: str
    ) -> BroadcastView | ActionRefused | LinkDead:
        """Do what the sender pressed. All but dropping a draft needs the PIN; `seen` "" is not compared."""
        async with self._db.read() as tx:
            row = await self._broadcast(tx, token)
            if isinstance(row, LinkDead):
                return row
            shown = await self.view_row(tx, row)
        if seen and seen != shown.seen:
            return ActionRefused(reason="changed")
        if broadcast.move(shown.state, _EVENTS[action]) is None:
            return ActionRefused(reason="not_now")
        if action != "drop":
            refusal = await self._pin_refusal(row["staff_id"], int(row["id"]), pin)
            if refusal is not None:
                return refusal
        async with self._db.write() as tx:
            refusal = await self._move(tx, int(row["id"]), action, shown)
        if refusal is not None:
            return refusal
        self._wake()
        return await self.view(token)

    async def _broadcast(self, tx: Tx, token: str) -> Row | LinkDead:
        link_id = self._links.open(Purpose.SEND, token, now=self._clock.now())
        if isinstance(link_id, LinkDead):
            return link_id
        return await broadcasts.broadcast_by_link(tx, link_id) or INVALID_LINK

    async def _pin_refusal(self, staff_id: int, broadcast_id: int, pin: str) -> ActionRefused | None:
        """Check the PIN of the staff member whose broadcast it is; count what is wrong."""
        now = self._clock.now()
        async with self._db.read() as tx:
            member = await staff.staff_by_id(tx, staff_id)
        if member is None or member["disabled_at"] is not None:
            return ActionRefused(reason="not_now")
        pin = compact(pin)
        if not pin:
            return ActionRefused(reason="pin_missing")
        waiting = _waiting(member, now)
        if waiting is not None:
            return waiting
        right = await self._passwords.matches(member["pin_hash"], pin)
        async with self._db.write() as tx:
            return await self._count_pin(tx, staff_id, broadcast_id, right, now)

    async def _count_pin(
        self, tx: Tx, staff_id: int, broadcast_id: int, right: bool, now: Instant
    ) -> ActionRefused | None:
        member = await staff.staff_by_id(tx, staff_id)
        assert member is not None
        waiting = _waiting(member, now)
        if waiting is not None or (right and member["pin_failures"] == 0):
            return waiting  # others guessed at the same moment: then the right one has to wait as well
        failures = 0 if right else int(member["pin_failures"]) + 1
        wait = pin_wait(failures)
        await staff.set_pin_failures(tx, staff_id=staff_id, failures=failures, refused_until=later(now, wait))
        if right:
            return None
        log.info("broadcast.pin_refused", broadcast=broadcast_id, staff=staff_id, failures=failures)
        await audit.record(
            tx, at=now, actor=f"staff:{staff_id}", event="broadcast.pin_refused", subject=f"broadcast:{broadcast_id}"
        )
        return ActionRefused(reason="pin_wrong", wait_s=wait // SECOND)

    async def _move(self, tx: Tx, broadcast_id: int, action: Action, shown: BroadcastView) -> ActionRefused | None:
        row = await broadcasts.broadcast_by_id(tx, broadcast_id)
        assert row is not None
        parts = [part["part"] for part in await audiences.parts_of(tx, broadcast_id)]
        if _digest_of(row["kind"], shown.subject, shown.text, parts) != shown.seen:
            return ActionRefused(reason="changed")  # widened between the look and the press
        actor = f"staff:{row['staff_id']}"
        moved = await move_broadcast(tx, row, _EVENTS[action], actor=actor, now=self._clock.now())
        return None if moved else ActionRefused(reason="not_now")


def _waiting(member: Row, now: Instant) -> ActionRefused | None:
    """Why no PIN of a member is looked at now; a wait longer than any was written by a clock that has been set back since."""
    left = member["pin_refused_until"] - now
    return ActionRefused(reason="pin_wait", wait_s=-(-left // SECOND)) if 0 < left <= _LONGEST_PIN_WAIT else None


def pin_wait(failures: int) -> int:
    """How long, in microseconds, the next try has to wait after so many wrong ones in a row."""
    over = failures - _FREE_PIN_TRIES
    return 0 if over < 0 else min(MINUTE * 2 ** min(over, 10), _LONGEST_PIN_WAIT)


def _digest_of(kind: str, subject: str, text: str, parts: list[str]) -> str:
    """What was looked at: the confirmation of something else is refused."""
    return hashlib.sha256("\0".join([kind, subject, text, *sorted(parts)]).encode()).hexdigest()[:16]

"""Send (J3): a staff mail, a preview, a confirmation, an expansion.

Mail proposes, a person disposes: a mail to `haishin+AUDIENCE@` becomes a draft and nothing more. The preview goes to the enrolled
address, never to what the mail says of itself. The page of the draft takes the PIN, which is not in the mailbox. Confirming freezes
the audience as of that instant; the sender then writes the deliveries in chunks, cursor and rows in one transaction, and starts the
broadcast with the first chunk.

Whoever is not enrolled, or whose envelope and From are not one enrolled address, gets silence. Who is enrolled gets a reason.
"""

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, Literal

import structlog

from mailgate.core import audience, broadcast, drafting
from mailgate.core.audience import City, Class, Grade, Level, Part, School, Staff
from mailgate.core.broadcast import Event, Kind, State
from mailgate.core.delivery import LIFETIME, Lane
from mailgate.core.instants import MINUTE, SECOND, Instant, later
from mailgate.core.letters import Refusal, fits
from mailgate.core.tokens import ID_BYTES, Purpose
from mailgate.journeys.links import INVALID_LINK, LinkDead, Links
from mailgate.journeys.passwords import Passwords
from mailgate.journeys.words import audience_words
from mailgate.runtime import Clock, Dice
from mailgate.store import audit, broadcasts, outbox, schools, staff
from mailgate.store.db import Db, Row, Tx
from mailgate.vault import TextVault

log = structlog.get_logger()

EXPANSION_CHUNK: Final = 50_000
# A relay may split one mail to several audiences into several transactions; so long they are one draft.
_SPLIT_WINDOW: Final = 10 * MINUTE
# PIN guesses: after so many in a row, each further one has to wait, longer and longer, and nobody is locked out for good.
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


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class StaffMail:
    """What a staff mail says; `source` is the keyed digest that knows it again."""

    subject: str
    text: str
    source: bytes


class Drafter:
    """The mail side: a staff mail becomes a draft."""

    def __init__(self, *, texts: TextVault, dice: Dice) -> None:
        self._texts = texts
        self._dice = dice

    async def draft(self, tx: Tx, member: Row, *, audiences: list[str], mail: StaffMail, now: Instant) -> str:
        """Draft a broadcast, or widen the draft that the same mail made, or tell its sender why not; one word for the log."""
        parts, refusal = await self._parts(tx, member, audiences)
        draft = drafting.draft(mail.subject, mail.text)
        if refusal is None and not draft.text:
            refusal = {"reason": Refusal.NO_TEXT}
        if refusal is None and not fits(subject=draft.subject, text=draft.text):
            refusal = {"reason": Refusal.TOO_LARGE}
        if refusal is not None:
            await self._tell(tx, member, "staff_refused", refusal, now)
            log.info("broadcast.refused", staff=member["id"], reason=refusal["reason"])
            return "refused"
        known = await broadcasts.draft_by_source(tx, source=mail.source, since=later(now, -_SPLIT_WINDOW))
        broadcast_id = await self._add(tx, member, draft, mail, now) if known is None else int(known["id"])
        widened = [await self._add_part(tx, broadcast_id, part) for part in parts]
        if any(widened):
            params = {"broadcast": broadcast_id, "widened": known is not None}
            await self._tell(tx, member, "preview", params, now)
        log.info("broadcast.drafted", broadcast=broadcast_id, staff=member["id"])
        return "drafted"

    async def _parts(
        self, tx: Tx, member: Row, audiences: list[str]
    ) -> tuple[list[Part], dict[str, object] | None]:
        scope = audience.parse_scope(member["scope"])
        parts: list[Part] = []
        for text in audiences:
            part = audience.parse(text)
            if part is None or not await _exists(tx, part):
                return [], {"reason": Refusal.UNKNOWN_AUDIENCE, "audience": _plain(text)}
            if scope is None or not audience.covers(scope, part):
                return [], {"reason": Refusal.BEYOND_SCOPE, "audience": _plain(text)}
            parts.append(part)
        return parts, None

    async def _add(self, tx: Tx, member: Row, draft: drafting.Draft, mail: StaffMail, now: Instant) -> int:
        broadcast_id = await broadcasts.next_id(tx)
        await broadcasts.add_draft(
            tx,
            broadcast_id=broadcast_id,
            link_id=self._dice.octets(ID_BYTES),
            kind=draft.kind,
            lane=broadcast.LANE[draft.kind],
            staff_id=member["id"],
            source=mail.source,
            subject=self._texts.seal_text(draft.subject, "subject", broadcast_id),
            text=self._texts.seal_text(draft.text, "text", broadcast_id),
            cut=self._texts.seal_text(draft.cut, "cut", broadcast_id),
            now=now,
        )
        return broadcast_id

    async def _add_part(self, tx: Tx, broadcast_id: int, part: Part) -> bool:
        slug, grade, class_slug = _place(part)
        school = None if slug is None else await schools.school_by_slug(tx, slug)
        school_id = None if school is None else int(school["id"])
        class_id = None
        if school_id is not None and class_slug is not None:
            class_id = await _class_id(tx, school_id, grade, class_slug)
        return await broadcasts.add_part(
            tx,
            broadcast_id=broadcast_id,
            part=str(part),
            staff=isinstance(part, Staff),
            level=part.name if isinstance(part, Level) else None,
            school_id=school_id,
            grade=grade,
            class_id=class_id,
        )

    async def _tell(self, tx: Tx, member: Row, letter: str, params: Mapping[str, object], now: Instant) -> None:
        await outbox.enqueue_letter(
            tx,
            letter=letter,
            params=json.dumps(params),
            address_id=member["address_id"],
            lane=Lane.SINGLE,
            now=now,
            due_at=now,
            expires_at=later(now, LIFETIME[Lane.SINGLE]),
        )


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
        broadcast_id = int(row["id"])
        member = await staff.staff_by_id(tx, row["staff_id"])
        assert member is not None
        parts = await broadcasts.parts_of(tx, broadcast_id)
        numbers = await broadcasts.count_audience(
            tx,
            broadcast_id=broadcast_id,
            alarm=row["lane"] == Lane.ALARM,
            until=Instant(row["confirmed_at"] or now),
        )
        subject, text, cut = (self._texts.open_text(row[column], column, broadcast_id) for column in _TEXTS)
        return BroadcastView(
            state=State(row["state"]),
            kind=Kind(row["kind"]),
            subject=subject,
            text=text,
            cut=cut,
            audience=tuple(audience_words(part) for part in parts),
            recipients=row["recipients"] if row["expanded_at"] else numbers["recipients"],
            pupils=numbers["pupils"],
            unregistered=numbers["unregistered"],
            warnings=drafting.cautions(subject, text),
            seen=_digest_of(row["kind"], subject, text, [part["part"] for part in parts]),
            sender_name=member["name"],
            created_at=Instant(row["created_at"]),
            confirmed_at=None if row["confirmed_at"] is None else Instant(row["confirmed_at"]),
            done_at=None if row["done_at"] is None else Instant(row["done_at"]),
            lapses_at=later(Instant(row["created_at"]), broadcast.DRAFT_LIFETIME),
            counts=await broadcasts.delivery_counts(tx, broadcast_id),
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
            moved = await self._move(tx, int(row["id"]), action, shown)
        if not moved:
            return ActionRefused(reason="not_now")
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
        if not pin:
            return ActionRefused(reason="pin_missing")
        if member["pin_refused_until"] > now:
            return ActionRefused(reason="pin_wait", wait_s=-(-(member["pin_refused_until"] - now) // SECOND))
        right = await self._passwords.matches(member["pin_hash"], pin)
        if right and member["pin_failures"] == 0:
            return None
        async with self._db.write() as tx:
            return await self._count_pin(tx, staff_id, broadcast_id, right, now)

    async def _count_pin(
        self, tx: Tx, staff_id: int, broadcast_id: int, right: bool, now: Instant
    ) -> ActionRefused | None:
        member = await staff.staff_by_id(tx, staff_id)
        assert member is not None
        if member["pin_refused_until"] > now:  # others guessed at the same moment
            return ActionRefused(reason="pin_wait", wait_s=-(-(member["pin_refused_until"] - now) // SECOND))
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

    async def _move(self, tx: Tx, broadcast_id: int, action: Action, shown: BroadcastView) -> bool:
        row = await broadcasts.broadcast_by_id(tx, broadcast_id)
        assert row is not None
        parts = [part["part"] for part in await broadcasts.parts_of(tx, broadcast_id)]
        if _digest_of(row["kind"], shown.subject, shown.text, parts) != shown.seen:
            return False  # widened between the look and the press
        return await move_broadcast(tx, row, _EVENTS[action], actor=f"staff:{row['staff_id']}", now=self._clock.now())


async def move_broadcast(tx: Tx, row: Row, event: Event, *, actor: str, now: Instant) -> bool:
    """Move a broadcast by an event, with what belongs to it. False: it does not happen in its state."""
    broadcast_id = int(row["id"])
    new = broadcast.move(State(row["state"]), event)
    if new is State.CONFIRMED and now >= later(Instant(row["created_at"]), broadcast.DRAFT_LIFETIME):
        return False  # lapsed, only nobody has written it down yet
    if new is None or not await broadcasts.set_state(
        tx, broadcast_id=broadcast_id, old=row["state"], new=new, done_at=now if new is State.DONE else None
    ):
        return False
    if new is State.CONFIRMED:
        lifetime = broadcast.LIFETIME[Kind(row["kind"])]
        await broadcasts.set_confirmed(
            tx, broadcast_id=broadcast_id, confirmed_at=now, expires_at=later(now, lifetime)
        )
        log.info("broadcast.confirmed", broadcast=broadcast_id)
    if new is State.CANCELLED:
        await broadcasts.cancel_pending(tx, broadcast_id=broadcast_id, now=now)
    await audit.record(
        tx, at=now, actor=actor, event=f"broadcast.{event.value}", subject=f"broadcast:{broadcast_id}"
    )
    log.info("broadcast.moved", broadcast=broadcast_id, state=new.value)
    return True


class Expander:
    """The sender's side of a broadcast: from frozen audience to outbox rows, and to its end."""

    def __init__(self, *, db: Db, clock: Clock) -> None:
        self._db = db
        self._clock = clock

    async def step(self) -> bool:
        """Write one chunk of the next broadcast's deliveries. True: there is more to do."""
        async with self._db.read() as tx:
            if await broadcasts.next_to_expand(tx) is None:
                return False
        async with self._db.write() as tx:
            row = await broadcasts.next_to_expand(tx)
            if row is None:
                return False
            if row["state"] == State.CONFIRMED:
                await move_broadcast(tx, row, Event.START, actor="gate", now=self._clock.now())
            alarm = row["lane"] == Lane.ALARM
            added = await broadcasts.expand_chunk(tx, row, alarm=alarm, limit=EXPANSION_CHUNK)
            await broadcasts.advance_cursor(tx, broadcast_id=row["id"], added=added)
            if added < EXPANSION_CHUNK:
                await broadcasts.set_expanded(tx, broadcast_id=row["id"], now=self._clock.now())
                log.info("broadcast.expanded", broadcast=row["id"], recipients=row["recipients"] + added)
        return True

    async def settle(self) -> None:
        """Let broadcasts of which nothing is owed be done, and old drafts lapse."""
        now = self._clock.now()
        async with self._db.read() as tx:
            finished = await broadcasts.finished(tx)
            lapsing = await broadcasts.has_lapsing(tx, before=later(now, -broadcast.DRAFT_LIFETIME))
        if not finished and not lapsing:
            return
        async with self._db.write() as tx:
            await broadcasts.lapse_drafts(tx, before=later(now, -broadcast.DRAFT_LIFETIME))
            for broadcast_id in await broadcasts.finished(tx):
                row = await broadcasts.broadcast_by_id(tx, broadcast_id)
                assert row is not None
                await move_broadcast(tx, row, Event.FINISH, actor="gate", now=now)
                log.info("broadcast.done", broadcast=broadcast_id, recipients=row["recipients"])


def pin_wait(failures: int) -> int:
    """How long, in microseconds, the next try has to wait after so many wrong ones in a row."""
    over = failures - _FREE_PIN_TRIES
    return 0 if over < 0 else min(MINUTE * 2 ** min(over, 10), _LONGEST_PIN_WAIT)


def _digest_of(kind: str, subject: str, text: str, parts: list[str]) -> str:
    """What was looked at: the confirmation of something else is refused."""
    return hashlib.sha256("\0".join([kind, subject, text, *sorted(parts)]).encode()).hexdigest()[:16]


def _place(part: Part) -> tuple[str | None, int | None, str | None]:
    match part:
        case City() | Level() | Staff(None):
            return None, None, None
        case School(slug) | Staff(slug):
            return slug, None, None
        case Grade(slug, grade):
            return slug, grade, None
        case Class(slug, grade, class_slug):
            return slug, grade, class_slug


async def _class_id(tx: Tx, school_id: int, grade: int | None, class_slug: str) -> int | None:
    for row in await schools.classes_of(tx, school_id):
        if (row["grade"], row["slug"]) == (grade, class_slug):
            return int(row["id"])
    return None


async def _exists(tx: Tx, part: Part) -> bool:
    slug, grade, class_slug = _place(part)
    if slug is None:
        return True
    school = await schools.school_by_slug(tx, slug)
    if school is None or (grade is not None and grade not in audience.grades_of(school["kind"])):
        return False
    return class_slug is None or await _class_id(tx, school["id"], grade, class_slug) is not None


def _plain(text: str) -> str:
    """An audience as its sender wrote it, fit for a database without addresses."""
    return text if re.fullmatch(r"[a-z0-9._-]{1,60}", text) else "?"

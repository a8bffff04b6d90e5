"""Draft (J3): a staff mail becomes a draft, and its preview is owed to the enrolled address, never to what the mail says of itself.

Who is enrolled and may not do what he asks is told why. The transactions into which a relay splits one mail make one draft.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import structlog

from mailgate.core import audience, broadcast, drafting
from mailgate.core.audience import City, Class, Grade, Level, Part, School, Staff
from mailgate.core.delivery import LIFETIME, Lane
from mailgate.core.instants import MINUTE, Instant, later
from mailgate.core.letters import Refusal, fits
from mailgate.core.tokens import ID_BYTES
from mailgate.journeys.schools import class_id_of
from mailgate.runtime import Dice
from mailgate.store import audiences, broadcasts, outbox, schools
from mailgate.store.db import Row, Tx
from mailgate.vault import TextVault

log = structlog.get_logger()

# A relay may split one mail to several audiences into several transactions; so long they are one draft.
_SPLIT_WINDOW: Final = 10 * MINUTE


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
            params = await _owed_preview(tx, broadcast_id, now=now)
            await self._tell(tx, member, "preview", {**params, "widened": known is not None}, now)
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
            class_id = await class_id_of(tx, school_id, grade, class_slug)
        return await audiences.add_part(
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


async def _owed_preview(tx: Tx, broadcast_id: int, *, now: Instant) -> dict[str, object]:
    """What a preview says of whom it reaches: part of what is owed, or a second try would not be the same mail (MR-37)."""
    row = await broadcasts.broadcast_by_id(tx, broadcast_id)
    assert row is not None
    alarm = row["lane"] == Lane.ALARM
    numbers = await audiences.count_audience(tx, broadcast_id=broadcast_id, alarm=alarm, until=now, now=now)
    parts = [part["part"] for part in await audiences.parts_of(tx, broadcast_id)]
    return {"broadcast": broadcast_id, "parts": parts, **dict(numbers)}


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


async def _exists(tx: Tx, part: Part) -> bool:
    slug, grade, class_slug = _place(part)
    if slug is None:
        return True
    school = await schools.school_by_slug(tx, slug)
    if school is None or (grade is not None and grade not in audience.grades_of(school["kind"])):
        return False
    return class_slug is None or await class_id_of(tx, school["id"], grade, class_slug) is not None


def _plain(text: str) -> str:
    """An audience as its sender wrote it, fit for a database without addresses."""
    return text if re.fullmatch(r"[a-z0-9._-]{1,60}", text) else "?"

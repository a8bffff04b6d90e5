"""Join (J1): an invitation's link, a form, a registration. The web side: it knows an address by the invitation's row and never reads it.

- The link may register several children (a sibling is a new ID); the same form sent twice finds what it made the first time.
- Five wrong registration codes burn the link (MR-32), however many are tried at once. Codes are compared in constant time.
- At most three addresses for a pupil, whichever ID they came by, counted inside the write transaction: there is one writer.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

import structlog

from mailgate.core import registration
from mailgate.core.delivery import LIFETIME, Lane
from mailgate.core.instants import Instant, later
from mailgate.core.providers import is_free_provider
from mailgate.core.registration import Fault, Form, Registration
from mailgate.core.tokens import Purpose
from mailgate.journeys.links import BURNT_LINK, INVALID_LINK, LinkDead, Links
from mailgate.journeys.passwords import Passwords
from mailgate.journeys.schools import class_id_of, facts_of, school_of_code
from mailgate.journeys.words import class_words, local_date
from mailgate.runtime import Clock
from mailgate.store import audit, invitations, outbox, people
from mailgate.store.db import Db, Row, Tx

log = structlog.get_logger()

WRONG_CODES: Final = 5
_SUGGESTIONS: Final = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Registered:
    """A registration as its owner sees it."""

    login_id: str
    pupil_name: str
    school_name: str
    class_text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NotRegistered:
    """What stands in the way, by field; when the ID is taken, free ones to choose from."""

    faults: Mapping[str, Fault]
    suggestions: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Landing:
    """What a good link shows."""

    valid_until: Instant
    provider: str
    free_mail: bool
    registered: tuple[Registered, ...]


class Join:
    """The web side of joining."""

    def __init__(
        self, *, db: Db, links: Links, passwords: Passwords, clock: Clock, timezone: str, wake: Callable[[], None]
    ) -> None:
        self._db = db
        self._links = links
        self._passwords = passwords
        self._clock = clock
        self._timezone = timezone
        self._wake = wake

    async def landing(self, token: str) -> Landing | LinkDead:
        """What the link of an invitation shows."""
        link_id = self._links.open(Purpose.INVITATION, token, now=self._clock.now())
        if isinstance(link_id, LinkDead):
            return link_id
        async with self._db.read() as tx:
            invitation = await self._invitation(tx, link_id)
            if isinstance(invitation, LinkDead):
                return invitation
            address = await people.address_by_id(tx, invitation["address_id"])
            assert address is not None
            came = await people.registrations_of_invitation(tx, invitation["id"])
        return Landing(
            valid_until=Instant(invitation["expires_at"]),
            provider=address["provider"],
            free_mail=is_free_provider(address["provider"]),
            registered=tuple(_registered(row) for row in came),
        )

    async def redeem(self, short_code: str) -> str | None:
        """The token of the invitation with this short code."""
        now = self._clock.now()
        async with self._db.read() as tx:
            for index in self._links.code_indexes(short_code):
                row = await invitations.invitation_by_code(tx, index)
                if row is not None and row["expires_at"] > now and row["burnt_at"] is None:
                    return self._links.invitation_token(row["link_id"], Instant(row["expires_at"]))
        return None

    async def register(self, token: str, form: Form) -> Registered | NotRegistered | LinkDead:
        """Register a pupil by the form; the same form again finds what it made."""
        now = self._clock.now()
        link_id = self._links.open(Purpose.INVITATION, token, now=now)
        if isinstance(link_id, LinkDead):
            return link_id
        # Codes are judged one after the other: those tried at once tell no more than five tries do.
        async with self._db.write() as tx:
            invitation = await self._invitation(tx, link_id)
            if isinstance(invitation, LinkDead):
                return invitation
            school = await school_of_code(tx, form.code, now=now)
            checked = registration.check(form, school=None if school is None else await facts_of(tx, school))
            if isinstance(checked, dict):
                return await self._refuse(tx, invitation["id"], checked, now)
        password_hash = await self._passwords.hash(checked.password)
        assert school is not None
        async with self._db.write() as tx:
            # Now, and not when the form came: a broadcast's audience is frozen as of an instant, and hashing takes a while on a busy day.
            written_at = self._clock.now()
            done = await self._write(tx, _Request(invitation["id"], school["id"], checked, password_hash, written_at))
        if isinstance(done, Registered):
            self._wake()
        return done

    async def _invitation(self, tx: Tx, link_id: bytes) -> Row | LinkDead:
        row = await invitations.invitation_by_link(tx, link_id)
        if row is None:
            return INVALID_LINK
        return row if row["burnt_at"] is None else BURNT_LINK

    async def _refuse(
        self, tx: Tx, invitation_id: int, faults: dict[str, Fault], now: Instant
    ) -> NotRegistered | LinkDead:
        log.info("registration.refused", invitation=invitation_id, faults=sorted(faults))
        if faults.get("code") is not Fault.UNKNOWN_CODE:
            return NotRegistered(faults=faults)
        if not await invitations.count_wrong_code(tx, invitation_id=invitation_id, limit=WRONG_CODES, now=now):
            return NotRegistered(faults=faults)
        log.info("invitation.burnt", invitation=invitation_id)
        return BURNT_LINK

    async def _write(self, tx: Tx, request: "_Request") -> Registered | NotRegistered | LinkDead:
        wanted, now = request.wanted, request.now
        invitation = await invitations.invitation_by_id(tx, request.invitation_id)
        if invitation is None or invitation["burnt_at"] is not None:
            return BURNT_LINK
        class_id = await class_id_of(tx, request.school_id, wanted.grade, wanted.class_slug)
        pupil_id = await _known_pupil(tx, request.school_id, class_id, wanted)
        if await people.is_login_taken(tx, wanted.login_key):
            for row in await people.registrations_of_invitation(tx, request.invitation_id):
                if (row["login_key"], row["pupil_id"]) == (wanted.login_key, pupil_id):
                    return _registered(row)  # the same form again
            return NotRegistered(faults={"login_id": Fault.TAKEN}, suggestions=await self._free_ids(tx, wanted, now))
        fault = await _contact_fault(tx, pupil_id, invitation["address_id"], wanted)
        if fault is not None:
            field, reason = fault
            return NotRegistered(faults={field: reason})
        if pupil_id is None:
            pupil_id = await _new_pupil(tx, request.school_id, class_id, wanted)
        return await self._insert(tx, request, invitation["address_id"], pupil_id)

    async def _insert(self, tx: Tx, request: "_Request", address_id: int, pupil_id: int) -> Registered:
        wanted, now = request.wanted, request.now
        registration_id = await people.add_registration(
            tx,
            login_id=wanted.login_id,
            login_key=wanted.login_key,
            password_hash=request.password_hash,
            pupil_id=pupil_id,
            now=now,
        )
        assert registration_id is not None  # looked at in this transaction
        await people.add_contact(
            tx,
            registration_id=registration_id,
            address_id=address_id,
            kind=wanted.kind,
            label=wanted.label,
            now=now,
        )
        await invitations.add_use(tx, invitation_id=request.invitation_id, registration_id=registration_id, now=now)
        await outbox.enqueue_letter(
            tx,
            letter="completion",
            params=json.dumps({"registration": registration_id, "invitation": request.invitation_id}),
            address_id=address_id,
            lane=Lane.SINGLE,
            now=now,
            due_at=now,
            expires_at=later(now, LIFETIME[Lane.SINGLE]),
        )
        subject = f"registration:{registration_id}"
        await audit.record(tx, at=now, actor="guardian", event="registration.completed", subject=subject)
        log.info("registration.completed", registration=registration_id)
        row = await people.registration_by_id(tx, registration_id)
        assert row is not None
        return _registered(row)

    async def _free_ids(self, tx: Tx, wanted: Registration, now: Instant) -> tuple[str, ...]:
        school_year = registration.school_year(local_date(now, self._timezone))
        entry = registration.entry_year(wanted.grade, school_year=school_year) if wanted.grade else school_year
        free: list[str] = []
        for candidate in registration.suggest_ids(wanted.login_id, entry_year=entry, class_slug=wanted.class_slug):
            if not await people.is_login_taken(tx, registration.normal_login_id(candidate)):
                free.append(candidate)
            if len(free) == _SUGGESTIONS:
                break
        return tuple(free)


@dataclass(frozen=True, slots=True, repr=False)
class _Request:
    """A checked form on its way into the store."""

    invitation_id: int
    school_id: int
    wanted: Registration
    password_hash: str
    now: Instant


async def _known_pupil(tx: Tx, school_id: int, class_id: int | None, wanted: Registration) -> int | None:
    """The pupil of same school, grade, class and kana."""
    for row in await people.pupils_by_kana(tx, school_id=school_id, kana_key=wanted.kana_key):
        if (row["grade"], row["class_id"]) == (wanted.grade, class_id):
            return int(row["id"])
    return None


async def _new_pupil(tx: Tx, school_id: int, class_id: int | None, wanted: Registration) -> int:
    """A pupil who is on no roster."""
    return await people.add_pupil(
        tx,
        school_id=school_id,
        grade=wanted.grade,
        class_id=class_id,
        name=wanted.name,
        kana=wanted.kana,
        kana_key=wanted.kana_key,
        on_roster=False,
    )


async def _contact_fault(
    tx: Tx, pupil_id: int | None, address_id: int, wanted: Registration
) -> tuple[str, Fault] | None:
    """Why this address cannot be one more of the pupil's: the field to say it at, and the fault."""
    contacts = [] if pupil_id is None else await people.addresses_of_pupil(tx, pupil_id)
    if wanted.kind is registration.ContactKind.PUPIL and not any(row["kind"] == "guardian" for row in contacts):
        return "kind", Fault.GUARDIAN_FIRST
    known = {row["address_id"] for row in contacts}
    if address_id not in known and len(known) >= registration.MAX_ADDRESSES:
        return "name", Fault.ADDRESSES_FULL
    return None


def _registered(row: Row) -> Registered:
    return Registered(
        login_id=row["login_id"],
        pupil_name=row["pupil_name"],
        school_name=row["school_name"],
        class_text=class_words(row["grade"], row["class_name"]),
    )

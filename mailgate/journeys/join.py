"""Join (J1): an invitation's link, a form, a registration. The web side: it knows an address by the invitation's row and never reads it.

- The link may register several children (a sibling is a new ID); the same form sent twice finds what it made the first time.
- Five wrong registration codes burn the link (MR-32), however many are tried at once. Codes are compared in constant time.
- At most three addresses for a pupil, whichever ID they came by, counted inside the write transaction: there is one writer.
- Who is there already is told that somebody joined. Adding and replacing are in `attach`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import structlog

from mailgate.core import registration
from mailgate.core.instants import Instant
from mailgate.core.providers import is_free_provider
from mailgate.core.registration import Fault, Form, Holding, Registration, lacks_guardian
from mailgate.journeys import lines, pupils, telling
from mailgate.journeys.attach import Attach, live_invitation
from mailgate.journeys.links import BURNT_LINK, INVALID_LINK, LinkDead
from mailgate.journeys.logins import Logins
from mailgate.journeys.means import Means
from mailgate.journeys.schools import class_id_of, facts_of, school_of_code
from mailgate.journeys.shown import AddRefused, ChooseContact, Client, ContactLine, Registered
from mailgate.journeys.words import local_date
from mailgate.store import audit, invitations, people, readers
from mailgate.store.db import Tx

__all__ = ["AddRefused", "ChooseContact", "Client", "ContactLine", "Join", "Landing", "NotRegistered", "Registered"]

log = structlog.get_logger()

WRONG_CODES: Final = 5
_SUGGESTIONS: Final = 3


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
    registered: tuple[Registered, ...]  # what came by this link already, newest first
    language: str  # of the address: 'ja', 'en', 'easy'
    registrations_here: tuple[str, ...]  # login IDs that this address is registered under, by whatever link


@dataclass(frozen=True, slots=True, repr=False)
class _Request:
    """A checked form on its way into the store."""

    invitation_id: int
    school_id: int
    wanted: Registration
    password_hash: str
    now: Instant


class Join:
    """The web side of joining."""

    def __init__(self, means: Means) -> None:
        self._means = means
        self._attach = Attach(means, Logins(means))

    async def landing(self, token: str) -> Landing | LinkDead:
        """What the link of an invitation shows."""
        async with self._means.db.read() as tx:
            invitation = await live_invitation(tx, self._means.links, token, now=self._means.clock.now())
            if isinstance(invitation, LinkDead):
                return invitation
            address = await people.address_by_id(tx, invitation["address_id"])
            assert address is not None
            came = await people.registrations_of_invitation(tx, invitation["id"])
            here = await people.logins_at(tx, invitation["address_id"])
        return Landing(
            valid_until=Instant(invitation["expires_at"]),
            provider=address["provider"],
            free_mail=is_free_provider(address["provider"]),
            registered=tuple(lines.registered(row) for row in came),
            language=address["language"],
            registrations_here=tuple(here),
        )

    async def redeem(self, short_code: str) -> str | None:
        """The token of the invitation with this short code."""
        now, links = self._means.clock.now(), self._means.links
        async with self._means.db.read() as tx:
            for index in links.code_indexes(short_code):
                row = await invitations.invitation_by_code(tx, index)
                if row is not None and row["expires_at"] > now and row["burnt_at"] is None:
                    return links.invitation_token(row["link_id"], Instant(row["expires_at"]))
        return None

    async def add(
        self, token: str, *, login_id: str, password: str, label: str, kind: str, client: Client
    ) -> Registered | AddRefused | LinkDead:
        """Add the invitation's address to an ID. `password` may be the school's one-time code. The same form again finds what it did."""
        return await self._attach.add(token, login_id=login_id, password=password, label=label, kind=kind, client=client)

    async def replace(
        self, token: str, *, login_id: str, password: str, contact: str = "", proof: str = "", client: Client
    ) -> Registered | ChooseContact | AddRefused | LinkDead:
        """Put the invitation's address in the place of an old one, whose label and kind it keeps.

        One contact: at once. Several: ChooseContact; then post again with login_id, contact and proof and no password. A contact that is
        none of them gives ChooseContact again.
        """
        return await self._attach.replace(
            token, login_id=login_id, password=password, contact=contact, proof=proof, client=client
        )

    async def register(self, token: str, form: Form) -> Registered | NotRegistered | LinkDead:
        """Register a pupil by the form; the same form again finds what it made."""
        now = self._means.clock.now()
        # Codes are judged one after the other: those tried at once tell no more than five tries do.
        async with self._means.db.write() as tx:
            invitation = await live_invitation(tx, self._means.links, token, now=now)
            if isinstance(invitation, LinkDead):
                return invitation
            school = await school_of_code(tx, form.code, now=now)
            checked = registration.check(form, school=None if school is None else await facts_of(tx, school))
            if isinstance(checked, dict):
                return await self._refuse(tx, invitation["id"], checked, now)
        password_hash = await self._means.passwords.hash(checked.password)
        assert school is not None
        async with self._means.db.write() as tx:
            # Now, and not when the form came: a broadcast's audience is frozen as of an instant, and hashing takes a while on a busy day.
            written_at = self._means.clock.now()
            done = await self._write(tx, _Request(invitation["id"], school["id"], checked, password_hash, written_at))
        if isinstance(done, Registered):
            self._means.wake()
        return done

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

    async def _write(self, tx: Tx, request: _Request) -> Registered | NotRegistered | LinkDead:
        wanted, now = request.wanted, request.now
        invitation = await invitations.invitation_by_id(tx, request.invitation_id)
        if invitation is None:  # the address has left meanwhile
            return INVALID_LINK
        if invitation["burnt_at"] is not None:
            return BURNT_LINK
        class_id = await class_id_of(tx, request.school_id, wanted.grade, wanted.class_slug)
        pupil_id = await pupils.known_pupil(tx, request.school_id, class_id, wanted)
        if await people.is_login_taken(tx, wanted.login_key):
            for row in await people.registrations_of_invitation(tx, request.invitation_id):
                if (row["login_key"], row["pupil_id"]) == (wanted.login_key, pupil_id):
                    return lines.registered(row)  # the same form again
            return NotRegistered(faults={"login_id": Fault.TAKEN}, suggestions=await self._free_ids(tx, wanted, now))
        there = await pupils.holdings_of(tx, pupil_id)
        if lacks_guardian(wanted.kind, there):
            return NotRegistered(faults={"kind": Fault.GUARDIAN_FIRST})
        if not self._means.rule.fits(there, [Holding(invitation["address_id"], wanted.kind)]):
            return NotRegistered(faults={"name": Fault.ADDRESSES_FULL})
        if pupil_id is None:
            pupil_id = await pupils.new_pupil(tx, request.school_id, class_id, wanted)
        return await self._insert(tx, request, invitation["address_id"], pupil_id)

    async def _insert(self, tx: Tx, request: _Request, address_id: int, pupil_id: int) -> Registered:
        wanted, now = request.wanted, request.now
        registration_id = await people.add_registration(
            tx,
            login_id=wanted.login_id,
            login_key=wanted.login_key,
            password_hash=request.password_hash,
            pupil_id=pupil_id,
            name=wanted.name,
            kana=wanted.kana,
            now=now,
        )
        assert registration_id is not None  # looked at in this transaction
        await people.add_contact(
            tx, registration_id=registration_id, address_id=address_id, kind=wanted.kind, label=wanted.label, now=now
        )
        await invitations.add_use(tx, invitation_id=request.invitation_id, registration_id=registration_id, now=now)
        await readers.clear_no_url(tx, address_id=address_id, invitation_id=request.invitation_id)
        await telling.tell_completion(
            tx, registration_id=registration_id, invitation_id=request.invitation_id, address_id=address_id, now=now
        )
        await telling.tell_joined(tx, pupil_id=pupil_id, but=registration_id, told={address_id}, now=now)
        subject = f"registration:{registration_id}"
        await audit.record(tx, at=now, actor="guardian", event="registration.completed", subject=subject)
        log.info("registration.completed", registration=registration_id)
        row = await people.registration_by_id(tx, registration_id)
        assert row is not None
        return lines.registered(row)

    async def _free_ids(self, tx: Tx, wanted: Registration, now: Instant) -> tuple[str, ...]:
        school_year = registration.school_year(local_date(now, self._means.timezone))
        entry = registration.entry_year(wanted.grade, school_year=school_year) if wanted.grade else school_year
        free: list[str] = []
        for candidate in registration.suggest_ids(wanted.login_id, entry_year=entry, class_slug=wanted.class_slug):
            if not await people.is_login_taken(tx, registration.normal_login_id(candidate)):
                free.append(candidate)
            if len(free) == _SUGGESTIONS:
                break
        return tuple(free)

"""Attach: an invitation's address is added to an ID, or takes the place of an old one (J1).

An address is proven by its own blank mail, so both ways start from the link of one. Who it is for is proven by password or by the school's
one-time code. Everything that must hold together is one write transaction: the room that the pupil has, the contact, the change that
can be undone, the letters, and that a code is used up.

Several contacts make two steps. The second has no password but a proof: a signed token of a quarter of an hour that is good for this
invitation, this registration and its password of that moment. The same form again finds what it did.
"""

import hashlib
import hmac
from dataclasses import dataclass, field
from typing import Literal

import structlog

from mailgate.core import fields
from mailgate.core.fields import ContactKind, Fault
from mailgate.core.instants import Instant
from mailgate.core.registration import Holding, lacks_guardian, normal_login_id
from mailgate.core.tokens import ID_BYTES, Purpose
from mailgate.journeys import lines, telling
from mailgate.journeys.links import BURNT_LINK, INVALID_LINK, LinkDead, Links
from mailgate.journeys.logins import Logins, Recognised
from mailgate.journeys.means import Means
from mailgate.journeys.pupils import holdings
from mailgate.journeys.shown import AddRefused, ChooseContact, Client, LoginRefused, Registered
from mailgate.store import audit, contacts, invitations, logins, people, readers, recovery
from mailgate.store.db import Row, Tx

log = structlog.get_logger()

_Refused = AddRefused | LinkDead


@dataclass(frozen=True, slots=True, kw_only=True)
class _Wish:
    """An address on its way to a registration."""

    invitation_id: int
    address_id: int
    owner: Recognised
    now: Instant
    label: str = ""
    kind: ContactKind = ContactKind.GUARDIAN
    told: set[int] = field(default_factory=set)


class Attach:
    """Adds and replaces addresses by an invitation's link."""

    def __init__(self, means: Means, logins_: Logins) -> None:
        self._means = means
        self._logins = logins_

    async def add(
        self, token: str, *, login_id: str, password: str, label: str, kind: str, client: Client
    ) -> Registered | AddRefused | LinkDead:
        """Add the invitation's address to an ID."""
        invitation = await self._invitation(token)
        if isinstance(invitation, LinkDead):
            return invitation
        named, kind_ = fields.label(label), fields.kind(kind)
        faults = {name: value for name, value in (("label", named), ("kind", kind_)) if isinstance(value, Fault)}
        if isinstance(named, Fault) or isinstance(kind_, Fault):
            return AddRefused(reason="fields", faults=faults)
        owner = await self._logins.recognise(login_id=login_id, password=password, client=client)
        if isinstance(owner, LoginRefused):
            return await self._refuse(invitation, login_id, owner)
        wish = self._wish(invitation, owner, label=named, kind=kind_)
        async with self._means.db.write() as tx:
            await self._logins.forgive(tx, owner)
            done = await self._add(tx, token, wish)
        if isinstance(done, Registered):
            self._means.wake()
        return done

    async def replace(
        self, token: str, *, login_id: str, password: str, contact: str, proof: str, client: Client
    ) -> Registered | ChooseContact | AddRefused | LinkDead:
        """Put the invitation's address in the place of an old one."""
        invitation = await self._invitation(token)
        if isinstance(invitation, LinkDead):
            return invitation
        if proof:
            owner = await self._proven(invitation, login_id, proof)
        else:
            owner = await self._logins.recognise(login_id=login_id, password=password, client=client)
        if isinstance(owner, LoginRefused):
            return await self._refuse(invitation, login_id, owner)
        wish = self._wish(invitation, owner)
        async with self._means.db.write() as tx:
            await self._logins.forgive(tx, owner)
            done = await self._replace(tx, token, wish, contact)
        if isinstance(done, Registered):
            self._means.wake()
        return done

    async def _invitation(self, token: str) -> Row | LinkDead:
        async with self._means.db.read() as tx:
            return await live_invitation(tx, self._means.links, token, now=self._means.clock.now())

    def _wish(self, invitation: Row, owner: Recognised, *, label: str = "", kind: ContactKind = ContactKind.GUARDIAN) -> _Wish:
        return _Wish(
            invitation_id=invitation["id"],
            address_id=invitation["address_id"],
            owner=owner,
            now=self._means.clock.now(),
            label=label,
            kind=kind,
        )

    async def _add(self, tx: Tx, token: str, wish: _Wish) -> Registered | _Refused:
        before = await self._before(tx, token, wish)
        if not isinstance(before, int):
            return before
        there = holdings(await contacts.contacts_of_pupil(tx, before))
        if lacks_guardian(wish.kind, there):
            return AddRefused(reason="guardian_first")
        if not self._means.rule.fits(there, [Holding(wish.address_id, wish.kind)]):
            return AddRefused(reason="full")
        return await self._attach(tx, wish, before, old=None)

    async def _replace(self, tx: Tx, token: str, wish: _Wish, contact: str) -> Registered | ChooseContact | _Refused:
        before = await self._before(tx, token, wish)
        if not isinstance(before, int):
            return before
        its_contacts = await contacts.contacts_of(tx, wish.owner.registration_id)
        chosen = [row for row in its_contacts if lines.contact_id_of(contact) == row["id"]]
        if not chosen and (contact or len(its_contacts) > 1):
            return ChooseContact(
                proof=await self._proof(tx, wish),
                contacts=await lines.lines_of(tx, wish.owner.registration_id, this_address=wish.address_id),
            )
        old = next(iter(chosen or its_contacts), None)
        staying = [row for row in await contacts.contacts_of_pupil(tx, before) if old is None or row["id"] != old["id"]]
        kind = ContactKind.GUARDIAN if old is None else ContactKind(old["kind"])
        if not self._means.rule.fits(holdings(staying), [Holding(wish.address_id, kind)]):
            return AddRefused(reason="full")
        return await self._attach(tx, wish, before, old=old)

    async def _before(self, tx: Tx, token: str, wish: _Wish) -> int | Registered | _Refused:
        """What both ways look at first; the child's id if there is something to do."""
        invitation = await live_invitation(tx, self._means.links, token, now=wish.now)
        if isinstance(invitation, LinkDead):
            return invitation
        registration_id = wish.owner.registration_id
        row = await people.registration_by_id(tx, registration_id)
        if row is None:
            return AddRefused(reason="login")
        here = await contacts.contact_at(tx, registration_id=registration_id, address_id=wish.address_id)
        if here is None:
            return int(row["pupil_id"])
        used = await invitations.is_used(tx, invitation_id=wish.invitation_id, registration_id=registration_id)
        return lines.registered(row) if used else AddRefused(reason="already")

    async def _attach(self, tx: Tx, wish: _Wish, pupil_id: int, *, old: Row | None) -> Registered | AddRefused:
        """Write the contact, the change and the letters."""
        registration_id, now = wish.owner.registration_id, wish.now
        if not await self._logins.use(tx, wish.owner):
            return AddRefused(reason="login")
        if old is not None:
            await contacts.remove_contact(tx, old["id"])
        contact_id = await people.add_contact(
            tx,
            registration_id=registration_id,
            address_id=wish.address_id,
            kind=wish.kind if old is None else old["kind"],
            label=wish.label if old is None else old["label"],
            now=now,
        )
        await invitations.add_use(tx, invitation_id=wish.invitation_id, registration_id=registration_id, now=now)
        await readers.clear_no_url(tx, address_id=wish.address_id, invitation_id=wish.invitation_id)
        await telling.tell_completion(
            tx, registration_id=registration_id, invitation_id=wish.invitation_id, address_id=wish.address_id, now=now
        )
        kind: Literal["added", "replaced"] = "added" if old is None else "replaced"
        told = {wish.address_id}
        change_id = await telling.tell_change(
            tx, self._means, kind, registration_id=registration_id, old=old, new_contact_id=contact_id, told=told, now=now
        )
        if old is None:
            await telling.tell_joined(tx, pupil_id=pupil_id, but=registration_id, told=told, now=now)
        else:
            await telling.tell_others(tx, self._means, kind, pupil_id=pupil_id, but=registration_id, told=told, now=now)
        subject = f"registration:{registration_id}"
        await audit.record(tx, at=now, actor="guardian", event=f"contact.{kind}", subject=subject, detail={"change": change_id})
        log.info("contact.changed", registration=registration_id, change=change_id, kind=kind)
        row = await people.registration_by_id(tx, registration_id)
        assert row is not None
        return lines.registered(row)

    async def _refuse(self, invitation: Row, login_id: str, refused: LoginRefused) -> Registered | AddRefused:
        """Say no, unless it is the same form again: a one-time code that did its work a moment ago opens nothing any more.

        What the link's page shows anyway is no secret to who has the link.
        """
        async with self._means.db.read() as tx:
            for row in await people.registrations_of_invitation(tx, invitation["id"]):
                if row["login_key"] == normal_login_id(login_id) and not refused.wait_s:
                    return lines.registered(row)
        return AddRefused(reason="wait" if refused.wait_s else "login", wait_s=refused.wait_s)

    # Proofs

    async def _proof(self, tx: Tx, wish: _Wish) -> str:
        row = await logins.login_by_id(tx, wish.owner.registration_id)
        assert row is not None  # looked at in this transaction
        proof = _proof_of(wish.invitation_id, row, wish.owner.code_issued_at)
        return self._means.links.proof_token(proof, wish.now)

    async def _proven(self, invitation: Row, login_id: str, token: str) -> Recognised | LoginRefused:
        """Whom a proof speaks for. A wrong one is no guess at a password and is not counted."""
        now = self._means.clock.now()
        proof = self._means.links.open(Purpose.PROOF, token, now=now)
        if isinstance(proof, LinkDead):
            return LoginRefused()
        async with self._means.db.read() as tx:
            row = await logins.login_of(tx, normal_login_id(login_id))
            code = None if row is None else await recovery.code_of(tx, row["id"])
        if row is None:
            return LoginRefused()
        for issued_at in (None, None if code is None else Instant(code["issued_at"])):
            if hmac.compare_digest(proof, _proof_of(invitation["id"], row, issued_at)):
                return Recognised(registration_id=row["id"], code_issued_at=issued_at, password_hash=row["password_hash"])
        return LoginRefused()


def _proof_of(invitation_id: int, row: Row, code_issued_at: Instant | None) -> bytes:
    """What was proven, in the room of a link's id."""
    text = f"{invitation_id}/{row['id']}/{row['password_hash']}/{code_issued_at or 'password'}"
    return hashlib.sha256(text.encode()).digest()[:ID_BYTES]


async def live_invitation(tx: Tx, links: Links, token: str, *, now: Instant) -> Row | LinkDead:
    """The invitation of a link, if it is good."""
    link_id = links.open(Purpose.INVITATION, token, now=now)
    if isinstance(link_id, LinkDead):
        return link_id
    row = await invitations.invitation_by_link(tx, link_id)
    if row is None:
        return INVALID_LINK
    return row if row["burnt_at"] is None else BURNT_LINK

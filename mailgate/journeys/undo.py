"""Undo: an address was added, replaced or removed, and somebody who was told says no (J2).

The link went to the old address and to those who were there already. Whoever made the change had the password, and may have changed it
since; so the undo takes back this change and all later ones of the same registration, ends every login, and lets neither the password nor
any link, code or known browser open the registration any more. It gives the link for a new password to who pressed.

What comes back is what the registration had before the change: contacts that the changes themselves had brought do not. A place that the
pupil's other registrations have filled meanwhile is filled: nobody gets a fourth address by this way either.
"""

from collections.abc import Mapping
from typing import Final

import structlog

from mailgate.core.instants import Instant, later
from mailgate.core.registration import ContactKind, Holding
from mailgate.core.tokens import ID_BYTES, Purpose
from mailgate.journeys import pupils, telling
from mailgate.journeys.links import INVALID_LINK, PASSWORD_LIFETIME, UNDO_LIFETIME, LinkDead
from mailgate.journeys.means import Means
from mailgate.journeys.passwords import NOBODYS
from mailgate.journeys.shown import Undone, UndoView
from mailgate.journeys.telling import ChangeKind
from mailgate.store import audit, changes, contacts, logins, people, recovery
from mailgate.store.db import Row, Tx

log = structlog.get_logger()

_REVERSED: Final[Mapping[str, ChangeKind]] = {"added": "removed", "replaced": "replaced", "removed": "added"}


class Undo:
    """Looks at changes and takes them back."""

    def __init__(self, means: Means) -> None:
        self._means = means

    async def view(self, token: str) -> UndoView | LinkDead:
        """What a link would take back."""
        async with self._means.db.read() as tx:
            change = await self._change(tx, token)
            if isinstance(change, LinkDead):
                return change
            registration = await people.registration_by_id(tx, change["registration_id"])
            assert registration is not None  # its changes go with it
            later_ones = await changes.changes_from(
                tx, registration_id=change["registration_id"], change_id=change["id"] + 1
            )
        made_at = Instant(change["made_at"])
        return UndoView(
            kind=change["kind"],
            pupil_name=registration["pupil_name"],
            old_label=change["old_label"],
            new_label=change["new_label"] or "",
            made_at=made_at,
            until=later(made_at, UNDO_LIFETIME),
            undone=change["undone_at"] is not None,
            more=sum(bool(each["undoable"]) for each in later_ones),
        )

    async def undo(self, token: str) -> Undone | LinkDead:
        """Take a change back; twice is once."""
        async with self._means.db.write() as tx:
            change = await self._change(tx, token)
            if isinstance(change, LinkDead):
                return change
            return await self._undo(tx, change)

    async def _change(self, tx: Tx, token: str) -> Row | LinkDead:
        link_id = self._means.links.open(Purpose.UNDO, token, now=self._means.clock.now())
        if isinstance(link_id, LinkDead):
            return link_id
        row = await changes.change_by_link(tx, link_id)
        # News has no link of its own; what is neither undone nor to be undone lost its address by a withdrawal.
        return INVALID_LINK if row is None or not (row["undoable"] or row["undone_at"]) else row

    async def _undo(self, tx: Tx, change: Row) -> Undone:
        now, registration_id = self._means.clock.now(), int(change["registration_id"])
        login = await logins.login_by_id(tx, registration_id)
        assert login is not None
        if change["undone_at"] is not None:
            return Undone(login_id=login["login_id"], restored=False, removed=0, reset_token=None)
        undone = await changes.changes_from(tx, registration_id=registration_id, change_id=change["id"])
        came = {each["new_contact_id"] for each in undone}
        removed = [row["id"] for row in await contacts.contacts_of(tx, registration_id) if row["id"] in came]
        for contact_id in removed:
            await contacts.remove_contact(tx, contact_id)
        restored = [
            each["id"]
            for each in reversed(undone)
            if each["old_contact_id"] not in came and await self._restore(tx, each, int(login["pupil_id"]))
        ]
        for each in undone:
            await changes.mark_undone(tx, change_id=each["id"], now=now)
        reset_token = await self._shut(tx, registration_id, now)
        await self._tell(tx, change, int(login["pupil_id"]), now)
        subject = f"registration:{registration_id}"
        detail: dict[str, object] = {"change": change["id"], "all": [each["id"] for each in undone]}
        await audit.record(tx, at=now, actor="guardian", event="contact.undone", subject=subject, detail=detail)
        log.info("contact.undone", registration=registration_id, change=change["id"], removed=len(removed))
        return Undone(
            login_id=login["login_id"],
            restored=change["id"] in restored,
            removed=len(removed),
            reset_token=reset_token,
        )

    async def _restore(self, tx: Tx, change: Row, pupil_id: int) -> bool:
        """Bring back the contact that a change took away, if there is one, and room for it."""
        if change["old_address_id"] is None:
            return False
        coming = Holding(change["old_address_id"], ContactKind(change["old_kind"]))
        if not self._means.rule.fits(await pupils.holdings_of(tx, pupil_id), [coming]):
            return False
        await contacts.restore_contact(tx, change)
        return True

    async def _tell(self, tx: Tx, change: Row, pupil_id: int, now: Instant) -> None:
        """News to everybody who is there now: the addresses are others again."""
        kind, registration_id, told = _REVERSED[change["kind"]], change["registration_id"], set[int]()
        await telling.tell_news(tx, self._means, kind, registration_id=registration_id, told=told, now=now)
        await telling.tell_others(
            tx, self._means, kind, pupil_id=pupil_id, but=registration_id, told=told, now=now
        )

    async def _shut(self, tx: Tx, registration_id: int, now: Instant) -> str:
        """Let nothing that was known open the registration any more, and give a link for a new password."""
        await logins.set_password(tx, registration_id=registration_id, password_hash=NOBODYS)
        await logins.end_sessions(tx, registration_id)
        await logins.forget_browsers(tx, registration_id)
        await recovery.end_password_links(tx, registration_id, now=now)
        await recovery.drop_code(tx, registration_id)
        link_id = self._means.dice.octets(ID_BYTES)
        await recovery.add_password_link(
            tx, link_id=link_id, registration_id=registration_id, now=now, expires_at=later(now, PASSWORD_LIFETIME)
        )
        return self._means.links.password_token(link_id, now)

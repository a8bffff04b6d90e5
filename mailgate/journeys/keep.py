"""Keep (J2): log in, look, change, withdraw, recover. The web side: contacts are ids, labels and providers here, never addresses.

None always means "log in again": the session is unknown, was ended, or has been idle for two hours. Whatever changes something looks at
the session once more in the transaction that does it. A password that is asked for again is one that somebody may be guessing, and is
counted as such; a session that came by the school's one-time code is not asked for the password that its owner has lost.
"""

from collections.abc import Mapping
from typing import Final, Literal

import structlog

from mailgate.core import fields
from mailgate.core.fields import Fault
from mailgate.core.instants import Instant
from mailgate.core.registration import Form
from mailgate.journeys import child, lines, mine, sessions, telling
from mailgate.journeys import withdraw as leaving
from mailgate.journeys.links import LinkDead
from mailgate.journeys.logins import Logins, Recognised
from mailgate.journeys.means import Means
from mailgate.journeys.recover import Recover
from mailgate.journeys.sessions import Session
from mailgate.journeys.shown import (
    HELD,
    Client,
    ContactLine,
    HeldLine,
    LoggedIn,
    LoginRefused,
    Me,
    Registered,
    Undone,
    UndoView,
)
from mailgate.journeys.undo import Undo
from mailgate.store import audit, contacts, logins, people, recovery
from mailgate.store.db import Tx

__all__ = [
    "HELD", "Client", "ContactLine", "HeldLine", "Keep", "LoggedIn", "LoginRefused", "Me", "Registered", "UndoView", "Undone",
]  # fmt: skip

log = structlog.get_logger()

LANGUAGES: Final = ("ja", "en", "easy")


class Keep:
    """The web side of keeping."""

    def __init__(self, means: Means) -> None:
        self._means = means
        self._logins = Logins(means)
        self._recover = Recover(means, self._logins)
        self._undo = Undo(means)

    # Logging in

    async def login(
        self, *, login_id: str, password: str, client: Client, previous: str = ""
    ) -> LoggedIn | LoginRefused:
        """Log in by password or by the school's one-time code. `previous` is the session cookie the browser still had: it ends."""
        recognised = await self._logins.recognise(login_id=login_id, password=password, client=client)
        if isinstance(recognised, LoginRefused):
            return recognised
        now = self._means.clock.now()
        async with self._means.db.write() as tx:
            if not await self._logins.use(tx, recognised):
                return LoginRefused()
            await self._logins.forgive(tx, recognised)
            logged_in = await sessions.begin(tx, self._means, recognised, client=client, previous=previous, now=now)
            way = "code" if recognised.by_code else "password"
            await self._record(tx, recognised.registration_id, "login.done", now, way=way)
        return logged_in

    async def logout(self, session: str) -> None:
        """End a session; an unknown one has ended."""
        async with self._means.db.write() as tx:
            await sessions.end(tx, session)

    async def me(self, session: str) -> Me | None:
        """Everything about the registration of a session."""
        found = await sessions.seen(self._means, session, now=self._means.clock.now())
        if found is None:
            return None
        async with self._means.db.read() as tx:
            return await mine.read_me(tx, found)

    # Changing

    async def change_child(
        self, session: str, *, name: str, kana: str, grade: str, class_name: str
    ) -> Me | Mapping[str, Fault] | None:
        """Write name, kana, grade and class anew; fields as on the form. ADDRESSES_FULL at "name": that child has three addresses."""
        form = Form(name=name, kana=kana, grade=grade, class_name=class_name)
        async with self._means.db.write() as tx:
            found = await self._session(tx, session)
            faults = {} if found is None else await child.change_child(self._means, tx, found.registration_id, form)
        if found is None:
            return None
        self._means.wake()
        return faults or await self.me(session)

    async def change_password(
        self, session: str, *, old: str, new: str
    ) -> Literal[True] | Fault | LoginRefused | None:
        """Set a password; every other session ends. LoginRefused: the old one is wrong (or wait). A Fault is of the new one."""
        async with self._means.db.read() as tx:
            found = await self._session(tx, session)
            login = None if found is None else await logins.login_by_id(tx, found.registration_id)
        if found is None or login is None:
            return None
        judged = fields.password(new, login["login_key"])
        if isinstance(judged, Fault):
            return judged
        recognised = await self._asked_again(found, old)
        if isinstance(recognised, LoginRefused):
            return recognised
        password_hash = await self._means.passwords.hash(judged)
        async with self._means.db.write() as tx:
            found = await self._session(tx, session)
            if found is None:
                return None
            if not await self._settled(tx, found, recognised):
                return LoginRefused()
            await self._set_password(tx, found, password_hash)
        return True

    async def change_language(self, session: str, language: str) -> bool | None:
        """Let the addresses of this registration be written to in 'ja', 'en' or 'easy'. False: no such language."""
        async with self._means.db.write() as tx:
            found = await self._session(tx, session)
            if found is None:
                return None
            if language not in LANGUAGES:
                return False
            await contacts.set_language(tx, registration_id=found.registration_id, language=language)
        return True

    async def rename_contact(self, session: str, contact: str, label: str) -> Literal[True] | Fault | None:
        """Give a contact another label. MISSING: there is no such contact."""
        judged = fields.label(label)
        async with self._means.db.write() as tx:
            found = await self._session(tx, session)
            if found is None:
                return None
            row = await contacts.contact_by_id(
                tx, registration_id=found.registration_id, contact_id=lines.contact_id_of(contact) or 0
            )
            if row is None:
                return Fault.MISSING
            if isinstance(judged, Fault):
                return judged
            await contacts.rename_contact(tx, contact_id=row["id"], label=judged)
        return True

    async def remove_contact(self, session: str, contact: str) -> Literal["removed", "last", "unknown"] | None:
        """Take a contact away, to be undone for 72 hours from its address.

        "last": the only one, or the only guardian's, goes by withdrawing all.
        """
        async with self._means.db.write() as tx:
            found = await self._session(tx, session)
            if found is None:
                return None
            done = await self._remove(tx, found.registration_id, contact)
        self._means.wake()
        return done

    async def withdraw(
        self, session: str, *, what: str, password: str
    ) -> Literal["withdrawn", "last", "unknown"] | LoginRefused | None:
        """Erase one contact (its id) or "all": within the day nothing of it is here. "all" ends the session with the registration.

        A session that came by a one-time code needs no password, as with change_password.
        """
        async with self._means.db.read() as tx:
            found = await self._session(tx, session)
        if found is None:
            return None
        recognised = await self._asked_again(found, password)
        if isinstance(recognised, LoginRefused):
            return recognised
        async with self._means.db.write() as tx:
            found = await self._session(tx, session)
            if found is None:
                return None
            if not await self._settled(tx, found, recognised):
                return LoginRefused()
            done = await leaving.withdraw(self._means, tx, found.registration_id, what, now=self._means.clock.now())
        self._means.wake()
        return done

    # Recovering

    async def forgot(self, login_id: str, *, client: Client) -> None:
        """Mail a link for a new password to the guardians of an ID. Nobody learns whether there is such an ID, or whether a limit held."""
        await self._recover.forgot(login_id, client=client)

    async def reset_view(self, token: str) -> str | LinkDead:
        """The login ID whose password a link sets. Changes nothing."""
        return await self._recover.view(token)

    async def reset(
        self, token: str, new: str, *, client: Client | None = None
    ) -> Literal[True] | Fault | LinkDead:
        """Set a new password by a link, once: all sessions end, and this client's wrong tries are forgotten. A used link is "expired"."""
        return await self._recover.reset(token, new, client=client)

    async def undo_view(self, token: str) -> UndoView | LinkDead:
        """What an undo link would take back. Changes nothing."""
        return await self._undo.view(token)

    async def undo(self, token: str) -> Undone | LinkDead:
        """Take back a change and all later ones of the same registration; twice is once."""
        undone = await self._undo.undo(token)
        self._means.wake()
        return undone

    # What several of them do

    async def _session(self, tx: Tx, session: str) -> Session | None:
        return await sessions.find(tx, session, now=self._means.clock.now())

    async def _asked_again(self, found: Session, password: str) -> Recognised | LoginRefused | None:
        """The password once more; None: this session is not asked for it."""
        return None if found.by_code else await self._logins.confirm(found.registration_id, password)

    async def _settled(self, tx: Tx, found: Session, recognised: Recognised | None) -> bool:
        """Whether what was asked before this transaction still holds."""
        if recognised is None:
            return found.by_code
        await self._logins.forgive(tx, recognised)
        return await self._logins.use(tx, recognised)

    async def _set_password(self, tx: Tx, found: Session, password_hash: str) -> None:
        now, registration_id = self._means.clock.now(), found.registration_id
        await logins.set_password(tx, registration_id=registration_id, password_hash=password_hash)
        await logins.end_sessions(tx, registration_id, but=found.id)
        await logins.has_password_now(tx, found.id)
        await recovery.end_password_links(tx, registration_id, now=now)
        await recovery.drop_code(tx, registration_id)
        await self._record(tx, registration_id, "password.changed", now, way="login")
        log.info("password.changed", registration=registration_id, way="login")

    async def _remove(self, tx: Tx, registration_id: int, contact: str) -> Literal["removed", "last", "unknown"]:
        now = self._means.clock.now()
        its_contacts = await contacts.contacts_of(tx, registration_id)
        row = next((each for each in its_contacts if each["id"] == lines.contact_id_of(contact)), None)
        if row is None:
            return "unknown"
        if leaving.is_last(row, its_contacts):
            return "last"
        registration = await people.registration_by_id(tx, registration_id)
        assert registration is not None  # it has a session
        await contacts.remove_contact(tx, row["id"])
        told: set[int] = set()
        change_id = await telling.tell_change(
            tx, self._means, "removed", registration_id=registration_id, old=row, told=told, now=now
        )
        await telling.tell_others(
            tx, self._means, "removed", pupil_id=registration["pupil_id"], but=registration_id, told=told, now=now
        )
        await self._record(tx, registration_id, "contact.removed", now, change=change_id)
        log.info("contact.changed", registration=registration_id, change=change_id, kind="removed")
        return "removed"

    async def _record(self, tx: Tx, registration_id: int, event: str, now: Instant, **detail: object) -> None:
        subject = f"registration:{registration_id}"
        await audit.record(tx, at=now, actor="guardian", event=event, subject=subject, detail=detail)

"""Recover (J2): a link for a new password, by mail to the guardians of an ID.

Whoever asks learns nothing: for an ID that does not exist, for one that was asked for too often, and for a good one the answer is the same
and so are the statements, down to a COMMIT that waits for the disk. An ID is asked for as often as an address is answered (MR-22), a
network more often. The link sets a password once, within two hours, by POST only; all sessions end, and all other links.
"""

from typing import Final, Literal

import structlog

from mailgate.core import fields, limits
from mailgate.core.fields import Fault
from mailgate.core.instants import DAY, HOUR, Instant, later
from mailgate.core.registration import normal_login_id
from mailgate.core.tokens import ID_BYTES, Purpose
from mailgate.journeys.links import EXPIRED_LINK, INVALID_LINK, PASSWORD_LIFETIME, LinkDead
from mailgate.journeys.logins import Logins
from mailgate.journeys.means import Means
from mailgate.journeys.shown import Client
from mailgate.store import audit, contacts, logins, recovery
from mailgate.store.db import Row, Tx

log = structlog.get_logger()

# Links that a network may ask for in an hour: a carrier's network is a town.
_OF_A_NETWORK: Final = 60


class Recover:
    """Links for a new password."""

    def __init__(self, means: Means, logins_: Logins) -> None:
        self._means = means
        self._logins = logins_

    async def forgot(self, login_id: str, *, client: Client) -> None:
        """Owe a link to the guardians of an ID, if there is one and no limit holds."""
        now = self._means.clock.now()
        async with self._means.db.write() as tx:
            if await self._may_ask(tx, normal_login_id(login_id), client, now):
                await self._owe(tx, normal_login_id(login_id), now)
        self._means.wake()

    async def view(self, token: str) -> str | LinkDead:
        """The login ID whose password a link sets."""
        async with self._means.db.read() as tx:
            found = await self._open(tx, token)
            return found if isinstance(found, LinkDead) else str(found[1]["login_id"])

    async def reset(self, token: str, new: str, *, client: Client | None) -> Literal[True] | Fault | LinkDead:
        """Set a password by a link; what went wrong from this client before is forgotten."""
        async with self._means.db.read() as tx:
            found = await self._open(tx, token)
        if isinstance(found, LinkDead):
            return found
        judged = fields.password(new, found[1]["login_key"])
        if isinstance(judged, Fault):
            return judged
        password_hash = await self._means.passwords.hash(judged)
        async with self._means.db.write() as tx:
            again = await self._open(tx, token)
            if isinstance(again, LinkDead):
                return again
            await self._set(tx, again[0], again[1], password_hash, client)
        return True

    async def _may_ask(self, tx: Tx, login_key: str, client: Client, now: Instant) -> bool:
        of = self._means.digests.of
        by_login, by_network = of("forgot", login_key), of("forgot from network", client.network)
        asked = await logins.instants_of(tx, by_login, since=later(now, -DAY))
        from_there = await logins.instants_of(tx, by_network, since=later(now, -HOUR))
        if not limits.may_answer(asked, now=now) or len(from_there) >= _OF_A_NETWORK:
            return False
        await logins.add_failure(tx, by_login, now=now)
        await logins.add_failure(tx, by_network, now=now)
        return True

    async def _owe(self, tx: Tx, login_key: str, now: Instant) -> None:
        row = await logins.login_of(tx, login_key)
        registration_id = None if row is None else int(row["id"])
        link = await recovery.add_password_link(
            tx,
            link_id=self._means.dice.octets(ID_BYTES),
            registration_id=registration_id,
            now=now,
            expires_at=later(now, PASSWORD_LIFETIME),
        )
        its_contacts = await contacts.contacts_of(tx, registration_id or 0)
        guardians = [each["address_id"] for each in its_contacts if each["kind"] == "guardian"]
        # An ID with the pupil's own address alone has nobody else to write to.
        readers = guardians or [each["address_id"] for each in its_contacts]
        await contacts.owe(tx, letter="password_link", params={"link": link}, address_ids=readers, now=now)

    async def _open(self, tx: Tx, token: str) -> tuple[Row, Row] | LinkDead:
        """The link of a token and whose it is."""
        link_id = self._means.links.open(Purpose.PASSWORD, token, now=self._means.clock.now())
        if isinstance(link_id, LinkDead):
            return link_id
        link = await recovery.password_link_by_link(tx, link_id)
        if link is None:
            return INVALID_LINK
        login = await logins.login_by_id(tx, link["registration_id"])
        return EXPIRED_LINK if link["used_at"] is not None or login is None else (link, login)

    async def _set(self, tx: Tx, link: Row, login: Row, password_hash: str, client: Client | None) -> None:
        now, registration_id = self._means.clock.now(), int(login["id"])
        await recovery.use_password_link(tx, link=link["id"], now=now)
        await recovery.end_password_links(tx, registration_id, now=now)
        await recovery.drop_code(tx, registration_id)
        await logins.set_password(tx, registration_id=registration_id, password_hash=password_hash)
        await logins.end_sessions(tx, registration_id)
        if client is not None:
            await self._logins.forgive_client(tx, login_key=login["login_key"], client=client)
        subject = f"registration:{registration_id}"
        await audit.record(tx, at=now, actor="guardian", event="password.changed", subject=subject, detail={"way": "link"})
        log.info("password.changed", registration=registration_id, way="link")

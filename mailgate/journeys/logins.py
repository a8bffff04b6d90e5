"""Logins: is it who they say? One answer and one cost for a wrong password and for an ID that does not exist (MR-79).

- A try is counted before it is looked at, in the transaction that decides whether it may be, and taken back if it was right: of many
  tries at one moment no more are looked at than of many one after the other. Whoever has to wait is refused before any work.
- Each try that is looked at costs one argon2 and one comparison of a one-time code, whether or not there is such an ID or a code.
- What is counted are keyed digests: the store does not say who failed from where.
- A password that was right is worth nothing until `use` says so in the transaction of what it is for: it may have been changed, and a
  one-time code used, in between.
"""

import hashlib
from dataclasses import dataclass, field

import structlog

from mailgate.core import codes, lockout
from mailgate.core.instants import SECOND, Instant, later
from mailgate.core.lockout import REMEMBERED
from mailgate.core.registration import normal_login_id
from mailgate.journeys.means import Means
from mailgate.journeys.passwords import NOBODYS
from mailgate.journeys.shown import Client, LoginRefused
from mailgate.runtime import Dice
from mailgate.store import logins, recovery
from mailgate.store.db import Row, Tx
from mailgate.vault import Digests

log = structlog.get_logger()

_NO_REGISTRATION = 0
_NO_INDEX = bytes(32)


@dataclass(frozen=True, slots=True, kw_only=True)
class Recognised:
    """Somebody gave what only the owner of a registration has."""

    registration_id: int
    code_issued_at: Instant | None  # of the one-time code that was given; None: it was the password
    password_hash: str = field(repr=False)
    tries: tuple[int, ...] = field(default=(), repr=False)
    counted: bytes = field(default=b"", repr=False)

    @property
    def by_code(self) -> bool:
        """It was a one-time code."""
        return self.code_issued_at is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Keys:
    """What a try counts for."""

    pair: bytes
    network: bytes
    login: bytes
    browser: bytes

    def counted(self, *, known: bool) -> tuple[bytes, ...]:
        return (self.browser,) if known else (self.pair, self.network, self.login)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Try:
    """A try that may be looked at."""

    row: Row | None
    code_is_right: bool
    ids: tuple[int, ...]
    key: bytes  # of the owner's failures, all forgotten once a try is right


class Logins:
    """Looks at IDs with their passwords and codes."""

    def __init__(self, means: Means) -> None:
        self._means = means

    async def recognise(self, *, login_id: str, password: str, client: Client) -> Recognised | LoginRefused:
        """Who it is, if the password or the one-time code is right."""
        now = self._means.clock.now()
        login_key = normal_login_id(login_id)
        async with self._means.db.write() as tx:
            begun = await self._begin(tx, login_key, password, client, now)
        if isinstance(begun, LoginRefused):
            log.info("login.refused", reason="wait", wait_s=begun.wait_s)
            return begun
        row = begun.row
        right = await self._means.passwords.matches(NOBODYS if row is None else row["password_hash"], password)
        if row is None or not (right or begun.code_is_right):
            log.info("login.refused", reason="wrong")
            return LoginRefused()
        return Recognised(
            registration_id=row["id"],
            code_issued_at=None if right else Instant(row["code_issued_at"]),
            password_hash=row["password_hash"],
            tries=begun.ids,
            counted=begun.key,
        )

    async def confirm(self, registration_id: int, password: str) -> Recognised | LoginRefused:
        """Whether somebody who is logged in knows the password too."""
        now, key = self._means.clock.now(), self._means.digests.of("login again", registration_id)
        async with self._means.db.write() as tx:
            row = await logins.login_by_id(tx, registration_id)
            failures = await logins.failures_of(tx, key, since=later(now, -REMEMBERED))
            wait = lockout.wait_of_known(failures, now=now)
            if row is None or wait:
                return LoginRefused(wait_s=-(-wait // SECOND))
            tried = await logins.add_failure(tx, key, now=now)
        if not await self._means.passwords.matches(row["password_hash"], password):
            return LoginRefused()
        return Recognised(
            registration_id=registration_id,
            code_issued_at=None,
            password_hash=row["password_hash"],
            tries=(tried,),
            counted=key,
        )

    async def forgive(self, tx: Tx, recognised: Recognised) -> None:
        """The try was right: it and what went wrong before it are forgotten."""
        await logins.drop_failures(tx, recognised.tries)
        await logins.drop_failures_of(tx, recognised.counted)

    async def use(self, tx: Tx, recognised: Recognised) -> bool:
        """Let it count, once if it was a code. False: it is not good any more."""
        row = await logins.login_by_id(tx, recognised.registration_id)
        if row is None or row["password_hash"] != recognised.password_hash:
            return False
        if recognised.code_issued_at is None:
            return True
        return await recovery.use_code(
            tx,
            registration_id=recognised.registration_id,
            issued_at=recognised.code_issued_at,
            now=self._means.clock.now(),
        )

    async def forgive_client(self, tx: Tx, *, login_key: str, client: Client) -> None:
        """The owner has come by another way: what went wrong from here is forgotten."""
        keys = self._keys(login_key, client, None)
        await logins.drop_failures_of(tx, keys.pair)
        await logins.drop_failures_of(tx, keys.browser)

    async def _begin(
        self, tx: Tx, login_key: str, password: str, client: Client, now: Instant
    ) -> "_Try | LoginRefused":
        row = await logins.login_by_key(tx, login_key=login_key, now=now, tries=codes.ONE_TIME_TRIES)
        registration_id = _NO_REGISTRATION if row is None else int(row["id"])
        browser_id = browser_id_of(client)
        known = await logins.knows_browser(tx, browser_id=browser_id, registration_id=registration_id)
        keys = self._keys(login_key, client, browser_id)
        wait = await self._wait(tx, keys, known=known, now=now)
        if wait:
            return LoginRefused(wait_s=-(-wait // SECOND))
        counted = keys.counted(known=known)
        ids = [await logins.add_failure(tx, key, now=now) for key in counted]
        typed = codes.read_one_time(password)
        index = _NO_INDEX if row is None or row["code_index"] is None else row["code_index"]
        code_is_right = self._means.digests.matches(index, "one-time code", registration_id, typed or "")
        if typed is not None and not code_is_right:
            await recovery.count_code_try(tx, registration_id)
        return _Try(row=row, code_is_right=code_is_right, ids=tuple(ids), key=counted[0])

    async def _wait(self, tx: Tx, keys: _Keys, *, known: bool, now: Instant) -> int:
        since = later(now, -REMEMBERED)
        if known:
            return lockout.wait_of_known(await logins.failures_of(tx, keys.browser, since=since), now=now)
        return lockout.wait_of_stranger(
            pair=await logins.failures_of(tx, keys.pair, since=since),
            network=await logins.failures_of(tx, keys.network, since=since),
            login=await logins.failures_of(tx, keys.login, since=since),
            now=now,
        )

    def _keys(self, login_key: str, client: Client, browser_id: bytes | None) -> _Keys:
        of = self._means.digests.of
        return _Keys(
            pair=of("login from network", login_key, client.network),
            network=of("logins from network", client.network),
            login=of("login", login_key),
            browser=of("login by browser", login_key, browser_id or browser_id_of(client)),
        )


def browser_id_of(client: Client) -> bytes:
    """Under which a browser is known; of one without a cookie, what none is known under."""
    return b"" if client.browser is None else hashlib.sha256(client.browser).digest()


async def issue_code(tx: Tx, *, registration_id: int, digests: Digests, dice: Dice, now: Instant) -> str:
    """A new one-time code for a registration, as it is printed. It is nowhere else."""
    code = dice.text(codes.ALPHABET, codes.ONE_TIME_LETTERS)
    await recovery.put_code(
        tx,
        registration_id=registration_id,
        code_index=digests.of("one-time code", registration_id, code),
        now=now,
        expires_at=later(now, codes.ONE_TIME_LIFETIME),
    )
    return codes.shown_one_time(code)

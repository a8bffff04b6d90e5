"""Sessions: a cookie's secret of 256 bits, kept as its digest, good until two hours after it was last seen."""

import base64
import hashlib
from dataclasses import dataclass
from typing import Final

from mailgate.core.instants import HOUR, MINUTE, Instant, later
from mailgate.journeys.logins import Recognised, browser_id_of
from mailgate.journeys.means import Means
from mailgate.journeys.shown import Client, LoggedIn
from mailgate.store import logins
from mailgate.store.db import Tx

IDLE: Final = 2 * HOUR
BROWSER_KNOWN: Final = 400 * 24 * HOUR
# A look at a page writes nothing more often than this.
TOUCH_EVERY: Final = MINUTE

_SECRET_OCTETS: Final = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """Somebody who is logged in."""

    id: bytes
    registration_id: int
    by_code: bool
    seen_at: Instant


async def begin(tx: Tx, means: Means, recognised: Recognised, *, client: Client, previous: str, now: Instant) -> LoggedIn:
    """Log somebody in: a fresh secret always. What the browser had before is over; the browser keeps its own secret if it is ours."""
    secret = _drawn(means)
    await logins.end_session(tx, _digest(previous))
    await logins.add_session(
        tx, session_id=_digest(secret), registration_id=recognised.registration_id, by_code=recognised.by_code, now=now
    )
    browser = await _browser_secret(tx, means, client)
    await logins.know_browser(
        tx, browser_id=hashlib.sha256(browser.encode()).digest(), registration_id=recognised.registration_id, now=now
    )
    return LoggedIn(session=secret, browser=browser, set_password=recognised.by_code)


async def find(tx: Tx, session: str, *, now: Instant) -> Session | None:
    """Who it is that this session's cookie names."""
    session_id = _digest(session)
    row = await logins.session_by_id(tx, session_id, seen_after=later(now, -IDLE))
    if row is None:
        return None
    return Session(
        id=session_id,
        registration_id=row["registration_id"],
        by_code=bool(row["by_code"]),
        seen_at=Instant(row["seen_at"]),
    )


async def seen(means: Means, session: str, *, now: Instant) -> Session | None:
    """The same, and remember that it was seen."""
    async with means.db.read() as tx:
        found = await find(tx, session, now=now)
    if found is not None and abs(now - found.seen_at) >= TOUCH_EVERY:
        async with means.db.write() as tx:
            await logins.touch_session(tx, found.id, now=now)
    return found


async def end(tx: Tx, session: str) -> None:
    """Log out."""
    await logins.end_session(tx, _digest(session))


async def _browser_secret(tx: Tx, means: Means, client: Client) -> str:
    if client.browser is not None and await logins.is_ours(tx, browser_id_of(client)):
        return client.browser.decode("ascii")
    return _drawn(means)


def _drawn(means: Means) -> str:
    return base64.urlsafe_b64encode(means.dice.octets(_SECRET_OCTETS)).rstrip(b"=").decode()


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()

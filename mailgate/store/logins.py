"""Logins: who may, what went wrong, sessions, and browsers that are known. Secrets come in as digests only."""

from collections.abc import Iterable

from mailgate.core.instants import Instant
from mailgate.core.lockout import MOST_COUNTED, Failures
from mailgate.store.db import Row, Tx


async def login_by_key(tx: Tx, *, login_key: str, now: Instant, tries: int) -> Row | None:
    """id, login_key, password_hash of a login ID, and code_index, code_issued_at of a one-time code that is still good."""
    return await tx.one(
        """
        SELECT r.id, r.login_key, r.password_hash, o.code_index, o.issued_at AS code_issued_at
          FROM registration r
          LEFT JOIN one_time_code o ON o.registration_id = r.id
               AND o.used_at IS NULL AND o.expires_at > :now AND o.wrong_tries < :tries
         WHERE r.login_key = :login_key
        """,
        {"login_key": login_key, "now": now, "tries": tries},
    )


async def login_by_id(tx: Tx, registration_id: int) -> Row | None:
    """id, login_id, login_key, password_hash, pupil_id."""
    return await tx.one(
        "SELECT id, login_id, login_key, password_hash, pupil_id FROM registration WHERE id = :id", {"id": registration_id}
    )


async def login_of(tx: Tx, login_key: str) -> Row | None:
    """The same by login ID."""
    return await tx.one(
        "SELECT id, login_id, login_key, password_hash, pupil_id FROM registration WHERE login_key = :key", {"key": login_key}
    )


async def set_password(tx: Tx, *, registration_id: int, password_hash: str) -> None:
    """Another password from now on."""
    await tx.run(
        "UPDATE registration SET password_hash = :password_hash WHERE id = :id",
        {"id": registration_id, "password_hash": password_hash},
    )


# Failures


async def failures_of(tx: Tx, key: bytes, *, since: Instant) -> Failures:
    """How many tries that went wrong are remembered under a key, and the last of them; no more are counted than anybody needs."""
    row = await tx.one(
        """
        SELECT COUNT(*) AS n, MAX(failed_at) AS last
          FROM (SELECT failed_at FROM login_failure
                 WHERE key = :key AND failed_at > :since ORDER BY failed_at DESC LIMIT :most)
        """,
        {"key": key, "since": since, "most": MOST_COUNTED},
    )
    assert row is not None
    return Failures(row["n"], None if row["last"] is None else Instant(row["last"]))


async def instants_of(tx: Tx, key: bytes, *, since: Instant) -> list[Instant]:
    """When something was counted under a key, the last ones."""
    rows = await tx.fetch(
        """
        SELECT failed_at FROM login_failure
         WHERE key = :key AND failed_at > :since ORDER BY failed_at DESC LIMIT :most
        """,
        {"key": key, "since": since, "most": MOST_COUNTED},
    )
    return [Instant(row["failed_at"]) for row in rows]


async def add_failure(tx: Tx, key: bytes, *, now: Instant) -> int:
    """Count a try; the id, to take it back by."""
    row = await tx.one(
        "INSERT INTO login_failure (key, failed_at) VALUES (:key, :now) RETURNING id", {"key": key, "now": now}
    )
    assert row is not None
    return int(row["id"])


async def drop_failures(tx: Tx, ids: Iterable[int]) -> None:
    """Take tries back: they were right."""
    await tx.run_many("DELETE FROM login_failure WHERE id = :id", [{"id": id_} for id_ in ids])


async def drop_failures_of(tx: Tx, key: bytes) -> None:
    """Forget what went wrong under a key."""
    await tx.run("DELETE FROM login_failure WHERE key = :key", {"key": key})


# Browsers


async def knows_browser(tx: Tx, *, browser_id: bytes, registration_id: int) -> bool:
    """Whether this browser has logged in to this registration before."""
    row = await tx.one(
        "SELECT 1 FROM known_browser WHERE id = :id AND registration_id = :registration_id",
        {"id": browser_id, "registration_id": registration_id},
    )
    return row is not None


async def is_ours(tx: Tx, browser_id: bytes) -> bool:
    """Whether we gave this browser its secret, for whatever registration."""
    return await tx.one("SELECT 1 FROM known_browser WHERE id = :id LIMIT 1", {"id": browser_id}) is not None


async def know_browser(tx: Tx, *, browser_id: bytes, registration_id: int, now: Instant) -> None:
    """A browser has logged in."""
    await tx.run(
        """
        INSERT INTO known_browser (id, registration_id, seen_at) VALUES (:id, :registration_id, :now)
        ON CONFLICT (id, registration_id) DO UPDATE SET seen_at = :now
        """,
        {"id": browser_id, "registration_id": registration_id, "now": now},
    )


async def browsers_of(tx: Tx, registration_id: int) -> list[Row]:
    """seen_at of the browsers that are known for a registration, the last one first."""
    return await tx.fetch(
        "SELECT seen_at FROM known_browser WHERE registration_id = :id ORDER BY seen_at DESC", {"id": registration_id}
    )


async def forget_browsers(tx: Tx, registration_id: int) -> None:
    """No browser is known for a registration any more."""
    await tx.run("DELETE FROM known_browser WHERE registration_id = :id", {"id": registration_id})


# Sessions


async def add_session(tx: Tx, *, session_id: bytes, registration_id: int, by_code: bool, now: Instant) -> None:
    """Somebody logged in."""
    await tx.run(
        """
        INSERT INTO session (id, registration_id, created_at, seen_at, by_code)
        VALUES (:id, :registration_id, :now, :now, :by_code)
        """,
        {"id": session_id, "registration_id": registration_id, "now": now, "by_code": int(by_code)},
    )


async def session_by_id(tx: Tx, session_id: bytes, *, seen_after: Instant) -> Row | None:
    """registration_id, created_at, seen_at, by_code of a session that was seen lately."""
    return await tx.one(
        """
        SELECT registration_id, created_at, seen_at, by_code FROM session
         WHERE id = :id AND seen_at > :seen_after
        """,
        {"id": session_id, "seen_after": seen_after},
    )


async def sessions_of(tx: Tx, registration_id: int) -> list[Row]:
    """created_at, seen_at of a registration's sessions, the last one first."""
    return await tx.fetch(
        "SELECT created_at, seen_at FROM session WHERE registration_id = :id ORDER BY created_at DESC",
        {"id": registration_id},
    )


async def touch_session(tx: Tx, session_id: bytes, *, now: Instant) -> None:
    """A session was seen."""
    await tx.run("UPDATE session SET seen_at = :now WHERE id = :id", {"id": session_id, "now": now})


async def has_password_now(tx: Tx, session_id: bytes) -> None:
    """Who came by a one-time code has set a password."""
    await tx.run("UPDATE session SET by_code = 0 WHERE id = :id", {"id": session_id})


async def end_session(tx: Tx, session_id: bytes) -> None:
    """Somebody logged out."""
    await tx.run("DELETE FROM session WHERE id = :id", {"id": session_id})


async def end_sessions(tx: Tx, registration_id: int, *, but: bytes = b"") -> None:
    """Everybody is logged out of a registration, but for one session."""
    await tx.run(
        "DELETE FROM session WHERE registration_id = :registration_id AND id <> :but",
        {"registration_id": registration_id, "but": but},
    )

"""Ways back in: the school's one-time codes, and links for a new password."""

from mailgate.core.instants import Instant
from mailgate.store.db import Row, Tx


async def put_code(
    tx: Tx, *, registration_id: int, code_index: bytes, now: Instant, expires_at: Instant
) -> None:
    """A one-time code was handed out; an older one is none any more."""
    await tx.run(
        """
        INSERT INTO one_time_code (registration_id, code_index, issued_at, expires_at)
        VALUES (:registration_id, :code_index, :now, :expires_at)
        ON CONFLICT (registration_id) DO UPDATE
           SET code_index = :code_index, issued_at = :now, expires_at = :expires_at, wrong_tries = 0, used_at = NULL
        """,
        {"registration_id": registration_id, "code_index": code_index, "now": now, "expires_at": expires_at},
    )


async def count_code_try(tx: Tx, registration_id: int) -> None:
    """Something that could have been the code was not."""
    await tx.run(
        "UPDATE one_time_code SET wrong_tries = wrong_tries + 1 WHERE registration_id = :id AND used_at IS NULL",
        {"id": registration_id},
    )


async def use_code(tx: Tx, *, registration_id: int, issued_at: Instant, now: Instant) -> bool:
    """A code is used up. False: it was, or another one took its place."""
    return await tx.run(
        """
        UPDATE one_time_code SET used_at = :now
         WHERE registration_id = :registration_id AND issued_at = :issued_at AND used_at IS NULL
        """,
        {"registration_id": registration_id, "issued_at": issued_at, "now": now},
    ) == 1


async def code_of(tx: Tx, registration_id: int) -> Row | None:
    """issued_at, expires_at, used_at of the last code that was handed out."""
    return await tx.one(
        "SELECT issued_at, expires_at, used_at FROM one_time_code WHERE registration_id = :id", {"id": registration_id}
    )


async def drop_code(tx: Tx, registration_id: int) -> None:
    """No code opens a registration any more."""
    await tx.run("DELETE FROM one_time_code WHERE registration_id = :id", {"id": registration_id})


async def add_password_link(
    tx: Tx, *, link_id: bytes, registration_id: int | None, now: Instant, expires_at: Instant
) -> int | None:
    """A link for a new password; its id. None: there is no such registration, and the statement has asked that too."""
    row = await tx.one(
        """
        INSERT INTO password_link (link_id, registration_id, issued_at, expires_at)
        SELECT :link_id, r.id, :now, :expires_at FROM registration r WHERE r.id = :registration_id
        RETURNING id
        """,
        {"link_id": link_id, "registration_id": registration_id, "now": now, "expires_at": expires_at},
    )
    return None if row is None else int(row["id"])


async def password_link_by_id(tx: Tx, link: int) -> Row | None:
    """id, link_id, registration_id, issued_at, expires_at, used_at."""
    return await tx.one(
        "SELECT id, link_id, registration_id, issued_at, expires_at, used_at FROM password_link WHERE id = :id", {"id": link}
    )


async def password_link_by_link(tx: Tx, link_id: bytes) -> Row | None:
    """The same by the id in its token."""
    return await tx.one(
        "SELECT id, link_id, registration_id, issued_at, expires_at, used_at FROM password_link WHERE link_id = :link_id",
        {"link_id": link_id},
    )


async def password_links_of(tx: Tx, registration_id: int) -> list[Row]:
    """issued_at, expires_at of a registration's links that nobody used, the last one first."""
    return await tx.fetch(
        """
        SELECT issued_at, expires_at FROM password_link
         WHERE registration_id = :id AND used_at IS NULL ORDER BY issued_at DESC
        """,
        {"id": registration_id},
    )


async def use_password_link(tx: Tx, *, link: int, now: Instant) -> bool:
    """A link is used up. False: it was before."""
    return await tx.run(
        "UPDATE password_link SET used_at = :now WHERE id = :id AND used_at IS NULL", {"id": link, "now": now}
    ) == 1


async def end_password_links(tx: Tx, registration_id: int, *, now: Instant) -> None:
    """No link that is out sets a password any more."""
    await tx.run(
        "UPDATE password_link SET used_at = :now WHERE registration_id = :id AND used_at IS NULL",
        {"id": registration_id, "now": now},
    )

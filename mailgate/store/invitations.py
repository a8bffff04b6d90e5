"""Invitations, what was answered when, and which mails have been seen."""

from mailgate.core.instants import Instant
from mailgate.store.db import Row, Tx

_COLUMNS = "id, link_id, address_id, issued_at, expires_at, wrong_codes, burnt_at"


async def live_invitation(tx: Tx, *, address_id: int, now: Instant, expires_after: Instant) -> Row | None:
    """The newest invitation of an address that is good for a while yet; one from a future that did not come is none."""
    return await tx.one(
        f"""
        SELECT {_COLUMNS} FROM invitation
         WHERE address_id = :address_id AND issued_at <= :now AND expires_at > :expires_after AND burnt_at IS NULL
         ORDER BY issued_at DESC LIMIT 1
        """,
        {"address_id": address_id, "now": now, "expires_after": expires_after},
    )


async def add_invitation(
    tx: Tx, *, link_id: bytes, code_index: bytes, address_id: int, now: Instant, expires_at: Instant
) -> int | None:
    """The new invitation's id, or None if its short code is another's: draw again."""
    row = await tx.one(
        """
        INSERT INTO invitation (link_id, code_index, address_id, issued_at, expires_at)
        VALUES (:link_id, :code_index, :address_id, :now, :expires_at)
        ON CONFLICT DO NOTHING
        RETURNING id
        """,
        {
            "link_id": link_id,
            "code_index": code_index,
            "address_id": address_id,
            "now": now,
            "expires_at": expires_at,
        },
    )
    return None if row is None else int(row["id"])


async def invitation_by_link(tx: Tx, link_id: bytes) -> Row | None:
    """The invitation that a link names."""
    return await tx.one(f"SELECT {_COLUMNS} FROM invitation WHERE link_id = :link_id", {"link_id": link_id})


async def invitation_by_code(tx: Tx, code_index: bytes) -> Row | None:
    """The invitation that a short code names."""
    return await tx.one(
        f"SELECT {_COLUMNS} FROM invitation WHERE code_index = :code_index", {"code_index": code_index}
    )


async def invitation_by_id(tx: Tx, invitation_id: int) -> Row | None:
    """An invitation."""
    return await tx.one(f"SELECT {_COLUMNS} FROM invitation WHERE id = :id", {"id": invitation_id})


async def count_wrong_code(tx: Tx, *, invitation_id: int, limit: int, now: Instant) -> bool:
    """Count a wrong registration code. True: it was one too many, and the link is dead from now on."""
    row = await tx.one(
        """
        UPDATE invitation
           SET wrong_codes = wrong_codes + 1,
               burnt_at = CASE WHEN wrong_codes + 1 >= :limit THEN :now END
         WHERE id = :id AND burnt_at IS NULL
        RETURNING burnt_at
        """,
        {"id": invitation_id, "limit": limit, "now": now},
    )
    return row is None or row["burnt_at"] is not None


async def add_use(tx: Tx, *, invitation_id: int, registration_id: int, now: Instant) -> None:
    """Note which registration came by which invitation."""
    await tx.run(
        """
        INSERT INTO invitation_use (invitation_id, registration_id, used_at)
        VALUES (:invitation_id, :registration_id, :now)
        ON CONFLICT (invitation_id, registration_id) DO NOTHING
        """,
        {"invitation_id": invitation_id, "registration_id": registration_id, "now": now},
    )


async def is_used(tx: Tx, *, invitation_id: int, registration_id: int) -> bool:
    """Whether a registration got its address by this invitation."""
    row = await tx.one(
        "SELECT 1 FROM invitation_use WHERE invitation_id = :invitation_id AND registration_id = :registration_id",
        {"invitation_id": invitation_id, "registration_id": registration_id},
    )
    return row is not None


async def invitations_of_registration(tx: Tx, registration_id: int) -> list[Row]:
    """issued_at, expires_at of the invitations that the addresses of a registration have, newest first."""
    return await tx.fetch(
        """
        SELECT issued_at, expires_at FROM invitation
         WHERE address_id IN (SELECT address_id FROM contact WHERE registration_id = :id) ORDER BY issued_at DESC
        """,
        {"id": registration_id},
    )


async def answers_since(tx: Tx, *, address_id: int, since: Instant) -> list[Instant]:
    """When an address was answered, oldest first. That nobody reads what it wrote is no answer to a blank mail."""
    rows = await tx.fetch(
        """
        SELECT n.answered_at FROM answer n
         WHERE n.address_id = :address_id AND n.answered_at > :since
           AND NOT EXISTS (SELECT 1 FROM outbox o
                            WHERE o.address_id = n.address_id AND o.letter = 'not_read' AND o.created_at = n.answered_at)
         ORDER BY n.answered_at
        """,
        {"address_id": address_id, "since": since},
    )
    return [Instant(row["answered_at"]) for row in rows]


async def add_answer(tx: Tx, *, address_id: int, now: Instant) -> None:
    """An address was answered."""
    await tx.run(
        "INSERT INTO answer (address_id, answered_at) VALUES (:address_id, :now)",
        {"address_id": address_id, "now": now},
    )


async def see_mail(tx: Tx, *, digest: bytes, now: Instant, since: Instant, until: Instant) -> bool:
    """Remember a mail. False: the same mail was seen between `since` and `until`, which is later than now: clocks are set back."""
    row = await tx.one(
        """
        INSERT INTO seen_mail (digest, seen_at) VALUES (:digest, :now)
        ON CONFLICT (digest) DO UPDATE SET seen_at = :now WHERE seen_at <= :since OR seen_at >= :until
        RETURNING seen_at
        """,
        {"digest": digest, "now": now, "since": since, "until": until},
    )
    return row is not None


async def forget_before(tx: Tx, *, seen: Instant, answered: Instant) -> None:
    """Drop what the limits no longer look at."""
    await tx.run("DELETE FROM seen_mail WHERE seen_at < :seen", {"seen": seen})
    await tx.run("DELETE FROM answer WHERE answered_at < :answered", {"answered": answered})

"""Enrolled staff."""

from mailgate.core.instants import Instant
from mailgate.store.db import Row, Tx

_COLUMNS = (
    "id, address_id, name, role, scope, pin_hash, created_at, disabled_at, pin_failures, pin_refused_until"
)


async def add_staff(
    tx: Tx,
    *,
    staff_id: int,
    address_id: int,
    name: str,
    role: str,
    scope: str,
    pin_hash: str,
    submission_hash: str,
    totp_sealed: bytes,
    now: Instant,
) -> bool:
    """Enrol somebody. False: the address is enrolled already."""
    return await tx.run(
        """
        INSERT INTO staff (id, address_id, name, role, scope, pin_hash, submission_hash, totp_sealed, created_at)
        VALUES (:id, :address_id, :name, :role, :scope, :pin_hash, :submission_hash, :totp_sealed, :now)
        ON CONFLICT (address_id) DO NOTHING
        """,
        {
            "id": staff_id,
            "address_id": address_id,
            "name": name,
            "role": role,
            "scope": scope,
            "pin_hash": pin_hash,
            "submission_hash": submission_hash,
            "totp_sealed": totp_sealed,
            "now": now,
        },
    ) == 1


async def next_id(tx: Tx) -> int:
    """The id of the next staff member: needed before the insert, to seal by."""
    row = await tx.one("SELECT COALESCE(MAX(id), 0) + 1 AS next FROM staff")
    assert row is not None
    return int(row["next"])


async def all_staff(tx: Tx) -> list[Row]:
    """id, name, role, scope, created_at, disabled_at, newest first: nothing secret."""
    return await tx.fetch("SELECT id, name, role, scope, created_at, disabled_at FROM staff ORDER BY id DESC")


async def staff_by_id(tx: Tx, staff_id: int) -> Row | None:
    """One member, with the hash of the PIN."""
    return await tx.one(f"SELECT {_COLUMNS} FROM staff WHERE id = :id", {"id": staff_id})


async def staff_by_address(tx: Tx, address_id: int) -> Row | None:
    """The member enrolled under an address, unless disabled."""
    return await tx.one(
        f"SELECT {_COLUMNS} FROM staff WHERE address_id = :address_id AND disabled_at IS NULL", {"address_id": address_id}
    )


async def disable(tx: Tx, *, staff_id: int, now: Instant) -> bool:
    """From now on this member's mails are strangers'. False: there is none, or disabled already."""
    return await tx.run(
        "UPDATE staff SET disabled_at = :now WHERE id = :id AND disabled_at IS NULL", {"id": staff_id, "now": now}
    ) == 1


async def set_pin_failures(tx: Tx, *, staff_id: int, failures: int, refused_until: Instant) -> None:
    """How often in a row the PIN was wrong, and until when no further try is looked at."""
    await tx.run(
        "UPDATE staff SET pin_failures = :failures, pin_refused_until = :refused_until WHERE id = :id",
        {"id": staff_id, "failures": failures, "refused_until": refused_until},
    )


async def school_of(tx: Tx, staff_id: int) -> Row | None:
    """slug, name of the school that a member's scope lies in, or None for the board."""
    return await tx.one(
        """
        SELECT s.slug, s.name FROM staff f JOIN school s ON f.scope = s.slug OR f.scope LIKE s.slug || '.%'
         WHERE f.id = :id
        """,
        {"id": staff_id},
    )

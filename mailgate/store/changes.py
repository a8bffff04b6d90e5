"""Changes of a registration's contacts, and what it takes to undo them."""

from typing import Final

from mailgate.core.instants import Instant
from mailgate.store.db import Row, Tx

# undoable: it names what would come back or go again, and nobody has undone it. Its time is the link's.
_COLUMNS: Final = """
    h.id, h.link_id, h.registration_id, h.kind, h.old_contact_id, h.old_address_id, h.old_label, h.old_kind, h.old_created_at,
    h.old_proven_at, h.new_contact_id, h.made_at, h.undone_at, c.label AS new_label,
    h.undone_at IS NULL AND (h.old_address_id IS NOT NULL OR h.new_contact_id IS NOT NULL) AS undoable
"""
_CHANGES: Final = f"SELECT {_COLUMNS} FROM change h LEFT JOIN contact c ON c.id = h.new_contact_id"


async def add_change(
    tx: Tx,
    *,
    link_id: bytes,
    registration_id: int,
    kind: str,
    old: Row | None,
    new_contact_id: int | None,
    now: Instant,
) -> int:
    """Note a change; `old` is the contact that went, all columns. Without old and new it is news only. Its id."""
    row = await tx.one(
        """
        INSERT INTO change (link_id, registration_id, kind, old_contact_id, old_address_id, old_label, old_kind, old_created_at,
                            old_proven_at, new_contact_id, made_at)
        VALUES (:link_id, :registration_id, :kind, :old_contact_id, :old_address_id, :old_label, :old_kind, :old_created_at,
                :old_proven_at, :new_contact_id, :now)
        RETURNING id
        """,
        {
            "link_id": link_id,
            "registration_id": registration_id,
            "kind": kind,
            "old_contact_id": None if old is None else old["id"],
            "old_address_id": None if old is None else old["address_id"],
            "old_label": "" if old is None else old["label"],
            "old_kind": "" if old is None else old["kind"],
            "old_created_at": None if old is None else old["created_at"],
            "old_proven_at": None if old is None else old["proven_at"],
            "new_contact_id": new_contact_id,
            "now": now,
        },
    )
    assert row is not None
    return int(row["id"])


async def change_by_id(tx: Tx, change_id: int) -> Row | None:
    """A change, with the label of the contact that came and whether it can still be undone."""
    return await tx.one(_CHANGES + " WHERE h.id = :id", {"id": change_id})


async def change_by_link(tx: Tx, link_id: bytes) -> Row | None:
    """The same by the id in its link."""
    return await tx.one(_CHANGES + " WHERE h.link_id = :link_id", {"link_id": link_id})


async def changes_from(tx: Tx, *, registration_id: int, change_id: int) -> list[Row]:
    """A change and all later ones of its registration that nobody has undone, newest first."""
    return await tx.fetch(
        _CHANGES + " WHERE h.registration_id = :registration_id AND h.id >= :id AND h.undone_at IS NULL ORDER BY h.id DESC",
        {"registration_id": registration_id, "id": change_id},
    )


async def changes_of(tx: Tx, registration_id: int) -> list[Row]:
    """All that is remembered of a registration's changes, newest first."""
    return await tx.fetch(_CHANGES + " WHERE h.registration_id = :id ORDER BY h.id DESC", {"id": registration_id})


async def let_go(tx: Tx, *, registration_id: int, address_id: int) -> None:
    """An address is withdrawn: no change of its registration brings it back."""
    await tx.run(
        """
        UPDATE change SET old_address_id = NULL
         WHERE registration_id = :registration_id AND old_address_id = :address_id
        """,
        {"registration_id": registration_id, "address_id": address_id},
    )


async def mark_undone(tx: Tx, *, change_id: int, now: Instant) -> bool:
    """A change is taken back. False: it was before."""
    return await tx.run(
        "UPDATE change SET undone_at = :now WHERE id = :id AND undone_at IS NULL", {"id": change_id, "now": now}
    ) == 1

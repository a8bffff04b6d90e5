"""Contacts: the addresses of a registration, and of the pupil whom several registrations may share."""

import json
from collections.abc import Iterable

from mailgate.core.delivery import LIFETIME, Lane
from mailgate.core.instants import Instant, later
from mailgate.store.db import Row, Tx


async def lines_of(tx: Tx, registration_id: int) -> list[Row]:
    """The contacts of a registration, oldest first, as their owner sees them, and what is kept of their addresses."""
    return await tx.fetch(
        """
        SELECT c.id, c.address_id, c.kind, c.label, c.created_at, c.proven_at, a.provider, a.paused_at, a.no_url, a.language,
               (SELECT MAX(o.handed_over_at) FROM outbox o
                 WHERE o.address_id = c.address_id AND o.state IN ('handed_over', 'delivered')) AS last_delivery
          FROM contact c JOIN address a ON a.id = c.address_id
         WHERE c.registration_id = :id ORDER BY c.id
        """,
        {"id": registration_id},
    )


async def contact_by_id(tx: Tx, *, registration_id: int, contact_id: int) -> Row | None:
    """A contact of this very registration, all columns."""
    return await tx.one(
        "SELECT * FROM contact WHERE id = :id AND registration_id = :registration_id",
        {"id": contact_id, "registration_id": registration_id},
    )


async def contact_at(tx: Tx, *, registration_id: int, address_id: int) -> Row | None:
    """The contact of this address in a registration, all columns."""
    return await tx.one(
        "SELECT * FROM contact WHERE registration_id = :registration_id AND address_id = :address_id",
        {"registration_id": registration_id, "address_id": address_id},
    )


async def contacts_of(tx: Tx, registration_id: int) -> list[Row]:
    """The contacts of a registration, oldest first, all columns."""
    return await tx.fetch("SELECT * FROM contact WHERE registration_id = :id ORDER BY id", {"id": registration_id})


async def contacts_of_pupil(tx: Tx, pupil_id: int) -> list[Row]:
    """The contacts of a pupil, whichever registration they came by, all columns."""
    return await tx.fetch(
        """
        SELECT c.* FROM contact c JOIN registration r ON r.id = c.registration_id
         WHERE r.pupil_id = :pupil_id ORDER BY c.id
        """,
        {"pupil_id": pupil_id},
    )


async def restore_contact(tx: Tx, change: Row) -> None:
    """Bring back what a change took away, as it was and under its own id."""
    await tx.run(
        """
        INSERT INTO contact (id, registration_id, address_id, kind, label, created_at, proven_at)
        VALUES (:id, :registration_id, :address_id, :kind, :label, :created_at, :proven_at)
        """,
        {
            "id": change["old_contact_id"],
            "registration_id": change["registration_id"],
            "address_id": change["old_address_id"],
            "kind": change["old_kind"],
            "label": change["old_label"],
            "created_at": change["old_created_at"],
            "proven_at": change["old_proven_at"],
        },
    )


async def rename_contact(tx: Tx, *, contact_id: int, label: str) -> None:
    """Another label."""
    await tx.run("UPDATE contact SET label = :label WHERE id = :id", {"id": contact_id, "label": label})


async def remove_contact(tx: Tx, contact_id: int) -> None:
    """A contact is none any more."""
    await tx.run("DELETE FROM contact WHERE id = :id", {"id": contact_id})


async def set_language(tx: Tx, *, registration_id: int, language: str) -> None:
    """Write to the addresses of a registration in another language."""
    await tx.run(
        """
        UPDATE address SET language = :language
         WHERE id IN (SELECT address_id FROM contact WHERE registration_id = :registration_id)
        """,
        {"registration_id": registration_id, "language": language},
    )


async def to_ask_again(tx: Tx, *, after: Instant, before: Instant, limit: int) -> list[Row]:
    """Contacts made between two instants that have proven nothing and were not asked again; all columns."""
    return await tx.fetch(
        """
        SELECT * FROM contact
         WHERE proven_at IS NULL AND asked_again_at IS NULL AND created_at > :after AND created_at <= :before
         ORDER BY id LIMIT :limit
        """,
        {"after": after, "before": before, "limit": limit},
    )


async def mark_asked_again(tx: Tx, *, contact_id: int, now: Instant) -> bool:
    """A contact is asked once more. False: it was, or it has answered."""
    return await tx.run(
        "UPDATE contact SET asked_again_at = :now WHERE id = :id AND asked_again_at IS NULL AND proven_at IS NULL",
        {"id": contact_id, "now": now},
    ) == 1


async def owe(
    tx: Tx, *, letter: str, params: dict[str, int | None], address_ids: Iterable[int], now: Instant
) -> None:
    """Owe some addresses the same letter, by one statement: it costs the same for none."""
    await tx.run(
        """
        INSERT INTO outbox (letter, params, address_id, lane, state, created_at, due_at, expires_at)
        SELECT :letter, :params, value, :lane, 'pending', :now, :now, :expires_at FROM json_each(:address_ids)
        """,
        {
            "letter": letter,
            "params": json.dumps(params),
            "lane": Lane.SINGLE,
            "now": now,
            "expires_at": later(now, LIFETIME[Lane.SINGLE]),
            "address_ids": json.dumps(sorted(set(address_ids))),
        },
    )

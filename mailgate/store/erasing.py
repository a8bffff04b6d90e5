"""Erasing: what goes with a registration, and what is kept no longer than it is needed (MR-78).

An address is referred to by contacts, staff, invitations, answers, changes that bring it back, and mails that are still owed. When the last
of these is gone, so is the address, and the deliveries that went to it stay as counts without it. secure_delete overwrites what is deleted.
"""

from typing import Final

from mailgate.core.instants import Instant
from mailgate.store.db import Tx

# Of the address d.
_HOLDS_A_PLACE: Final = """
    EXISTS (SELECT 1 FROM contact c WHERE c.address_id = d.id)
    OR EXISTS (SELECT 1 FROM staff f WHERE f.address_id = d.id)
    OR EXISTS (SELECT 1 FROM change h WHERE h.old_address_id = d.id)
"""
_ASKED: Final = """
    EXISTS (SELECT 1 FROM invitation i WHERE i.address_id = d.id)
    OR EXISTS (SELECT 1 FROM answer n WHERE n.address_id = d.id)
"""
_IS_OWED: Final = "EXISTS (SELECT 1 FROM outbox o WHERE o.address_id = d.id AND o.state IN ('pending', 'leased'))"


async def drop_registration(tx: Tx, registration_id: int) -> None:
    """A registration goes, and with it its sessions, browsers, codes, links and changes. Its contacts went before."""
    await tx.run("DELETE FROM invitation_use WHERE registration_id = :id", {"id": registration_id})
    await tx.run("DELETE FROM registration WHERE id = :id", {"id": registration_id})


async def placeless(tx: Tx, address_ids: str) -> list[int]:
    """Which of these addresses are nobody's any more: no contact's, no staff member's, no change's. `address_ids` is a JSON array."""
    rows = await tx.fetch(
        f"SELECT d.id FROM address d WHERE d.id IN (SELECT value FROM json_each(:ids)) AND NOT ({_HOLDS_A_PLACE})",
        {"ids": address_ids},
    )
    return [int(row["id"]) for row in rows]


async def drop_traces(tx: Tx, address_id: int, *, now: Instant) -> None:
    """Nothing but a farewell keeps an address any more: its invitations and answers go, other mails that are owed are cancelled."""
    await tx.run(
        "DELETE FROM invitation_use WHERE invitation_id IN (SELECT id FROM invitation WHERE address_id = :id)",
        {"id": address_id},
    )
    await tx.run("DELETE FROM invitation WHERE address_id = :id", {"id": address_id})
    await tx.run("DELETE FROM answer WHERE address_id = :id", {"id": address_id})
    await tx.run(
        """
        UPDATE outbox SET state = 'cancelled', ended_at = :now
         WHERE address_id = :id AND state = 'pending' AND (letter IS NULL OR letter <> 'withdrawn')
        """,
        {"id": address_id, "now": now},
    )


async def orphans(tx: Tx, *, limit: int) -> list[int]:
    """Addresses that are nobody's and that nobody asked from lately: at most a last mail to them is still owed."""
    rows = await tx.fetch(
        f"SELECT d.id FROM address d WHERE NOT ({_HOLDS_A_PLACE} OR {_ASKED}) ORDER BY d.id LIMIT :limit", {"limit": limit}
    )
    return [int(row["id"]) for row in rows]


async def cancel_broadcasts_to(tx: Tx, address_id: int, *, now: Instant) -> None:
    """A copy that came back to the queue after its reader had left goes nowhere."""
    await tx.run(
        """
        UPDATE outbox SET state = 'cancelled', ended_at = :now
         WHERE address_id = :id AND state = 'pending' AND broadcast_id IS NOT NULL
        """,
        {"id": address_id, "now": now},
    )


async def erase_address(tx: Tx, address_id: int) -> bool:
    """Erase an address; what was delivered to it stays as a count. False: it is needed again."""
    needed = await tx.one(
        f"SELECT 1 FROM address d WHERE d.id = :id AND ({_HOLDS_A_PLACE} OR {_ASKED} OR {_IS_OWED})", {"id": address_id}
    )
    if needed is not None:
        return False
    await tx.run("UPDATE outbox SET address_id = NULL WHERE address_id = :id", {"id": address_id})
    return await tx.run("DELETE FROM address WHERE id = :id", {"id": address_id}) == 1


async def drop_invitations(tx: Tx, *, expired_before: Instant) -> int:
    """Invitations whose time has been over for a while; how many."""
    await tx.run(
        "DELETE FROM invitation_use WHERE invitation_id IN (SELECT id FROM invitation WHERE expires_at <= :before)",
        {"before": expired_before},
    )
    return await tx.run("DELETE FROM invitation WHERE expires_at <= :before", {"before": expired_before})


async def drop_old_logins(tx: Tx, *, failures: Instant, sessions: Instant, browsers: Instant) -> None:
    """Failures, sessions and browsers that were last seen before these instants."""
    await tx.run("DELETE FROM login_failure WHERE failed_at <= :before", {"before": failures})
    await tx.run("DELETE FROM session WHERE seen_at <= :before", {"before": sessions})
    await tx.run("DELETE FROM known_browser WHERE seen_at <= :before", {"before": browsers})


async def drop_old_ways_in(tx: Tx, *, now: Instant) -> None:
    """One-time codes and password links that open nothing any more."""
    await tx.run("DELETE FROM one_time_code WHERE used_at IS NOT NULL OR expires_at <= :now", {"now": now})
    await tx.run("DELETE FROM password_link WHERE used_at IS NOT NULL OR expires_at <= :now", {"now": now})


async def drop_old_changes(tx: Tx, *, before: Instant) -> None:
    """Changes that can no longer be undone."""
    await tx.run("DELETE FROM change WHERE made_at <= :before", {"before": before})

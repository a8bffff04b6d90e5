"""Invitations by the site they went to: what became of them, and when they are due."""

from mailgate.core.delivery import State
from mailgate.core.instants import Instant
from mailgate.core.pausing import Ended
from mailgate.store.db import Tx


async def ended_invitations(tx: Tx, *, since: Instant) -> dict[str, list[Ended]]:
    """What became of the invitations owed after `since`, by site; those that are still owed or never left are not in it."""
    rows = await tx.fetch(
        """
        SELECT a.site, o.state, o.phase, o.reply_code, o.enhanced, o.reply_text, COUNT(*) AS n
          FROM outbox o JOIN address a ON a.id = o.address_id
         WHERE o.letter IN ('invitation', 'invitation_code') AND o.created_at > :since AND o.state IN ('bounced', 'failed')
         GROUP BY a.site, o.state, o.phase, o.reply_code, o.enhanced, o.reply_text
         UNION ALL
        SELECT a.site, 'handed_over', NULL, NULL, NULL, NULL, COUNT(*) AS n
          FROM outbox o JOIN address a ON a.id = o.address_id
         WHERE o.letter IN ('invitation', 'invitation_code') AND o.created_at > :since AND o.state IN ('handed_over', 'delivered')
         GROUP BY a.site
        """,
        {"since": since},
    )
    found: dict[str, list[Ended]] = {}
    for row in rows:
        ended = Ended(
            state=State(row["state"]),
            phase=row["phase"],
            code=row["reply_code"],
            enhanced=row["enhanced"],
            text=row["reply_text"],
            count=row["n"],
        )
        found.setdefault(row["site"], []).append(ended)
    return found


async def put_off_invitations(tx: Tx, *, site: str) -> int:
    """Invitations to a site wait, until they are called back or expire; how many."""
    return await tx.run(
        """
        UPDATE outbox SET due_at = expires_at
         WHERE letter IN ('invitation', 'invitation_code') AND state = 'pending' AND due_at < expires_at
           AND EXISTS (SELECT 1 FROM address a WHERE a.id = outbox.address_id AND a.site = :site)
        """,
        {"site": site},
    )


async def call_back_invitations(tx: Tx, *, site: str, now: Instant) -> int:
    """Those that wait are due; how many."""
    return await tx.run(
        """
        UPDATE outbox SET due_at = :now
         WHERE letter IN ('invitation', 'invitation_code') AND state = 'pending' AND due_at = expires_at AND expires_at > :now
           AND EXISTS (SELECT 1 FROM address a WHERE a.id = outbox.address_id AND a.site = :site)
        """,
        {"site": site, "now": now},
    )


async def waiting_sites(tx: Tx) -> set[str]:
    """The sites that have invitations waiting for their end."""
    rows = await tx.fetch(
        """
        SELECT DISTINCT a.site FROM outbox o JOIN address a ON a.id = o.address_id
         WHERE o.letter IN ('invitation', 'invitation_code') AND o.state = 'pending' AND o.due_at = o.expires_at
        """
    )
    return {row["site"] for row in rows}

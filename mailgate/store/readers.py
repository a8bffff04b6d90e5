"""How addresses are written to, and what they were answered: what the limits and the receipts of mail without a token stand on.

What an address got is a handful of rows, found by the address. Where a kind of letter and a time stand beside it in a condition, SQLite
takes the index of these two for the better one and walks all letters of a day, the whole city's: there the kind is only counted.
"""

import json

from mailgate.core.instants import Instant
from mailgate.store.db import Row, Tx


async def set_language(tx: Tx, *, address_id: int, language: str) -> None:
    """From now on an address is written to in this language."""
    await tx.run("UPDATE address SET language = :language WHERE id = :id", {"id": address_id, "language": language})


async def set_no_url(tx: Tx, address_id: int) -> None:
    """From now on no mail to an address holds a URL."""
    await tx.run("UPDATE address SET no_url = 1 WHERE id = :id", {"id": address_id})


async def clear_no_url(tx: Tx, *, address_id: int, invitation_id: int) -> bool:
    """The link or the code of an invitation was used. If its mails had a URL, URLs do reach the address. True: that is news."""
    return await tx.run(
        """
        UPDATE address SET no_url = 0
         WHERE id = :id AND no_url = 1
           AND NOT EXISTS (SELECT 1 FROM outbox o
                            WHERE o.address_id = address.id AND o.letter = 'invitation_code' AND o.params = :params)
        """,
        {"id": address_id, "params": invitation_params(invitation_id)},
    ) == 1


async def is_by_code(tx: Tx, *, address_id: int, invitation_id: int) -> bool:
    """Whether an invitation was mailed without its link."""
    row = await tx.one(
        "SELECT 1 FROM outbox WHERE address_id = :id AND letter = 'invitation_code' AND params = :params",
        {"id": address_id, "params": invitation_params(invitation_id)},
    )
    return row is not None


async def invitations_in_vain(tx: Tx, *, address_id: int, since: Instant) -> int:
    """How often an address was sent a link, and none that it was sent has been used after that."""
    row = await tx.one(
        """
        SELECT COUNT(*) FILTER (WHERE o.letter = 'invitation') AS n FROM outbox o
         WHERE o.address_id = :id AND o.created_at > :since
           AND o.created_at > COALESCE((SELECT MAX(u.used_at)
                                          FROM invitation i JOIN invitation_use u ON u.invitation_id = i.id
                                         WHERE i.address_id = :id), 0)
        """,
        {"id": address_id, "since": since},
    )
    assert row is not None
    return int(row["n"])


async def was_told(tx: Tx, *, address_id: int, letter: str, since: Instant) -> bool:
    """Whether an address was owed a letter of this kind after an instant."""
    row = await tx.one(
        """
        SELECT COUNT(*) FILTER (WHERE letter = :letter) AS n FROM outbox WHERE address_id = :id AND created_at > :since
        """,
        {"id": address_id, "letter": letter, "since": since},
    )
    assert row is not None
    return bool(row["n"])


async def newest_open(tx: Tx, *, address_id: int, since: Instant) -> int | None:
    """The newest copy to an address that asks for a receipt and has none; of completion mails only while the address is not proven."""
    row = await tx.one(
        """
        SELECT o.id FROM outbox o
         WHERE o.address_id = :id AND o.created_at > :since AND o.state NOT IN ('pending', 'cancelled')
           AND NOT EXISTS (SELECT 1 FROM receipt t WHERE t.outbox_id = o.id)
           AND (o.broadcast_id IS NOT NULL
                OR (o.letter = 'completion'
                    AND EXISTS (SELECT 1 FROM contact c WHERE c.address_id = :id AND c.proven_at IS NULL)))
         ORDER BY o.created_at DESC, o.id DESC LIMIT 1
        """,
        {"id": address_id, "since": since},
    )
    return None if row is None else int(row["id"])


async def entries_at(tx: Tx, address_id: int) -> list[Row]:
    """login_id, pupil_name, school_name, grade, class_name of the registrations of an address, oldest first."""
    return await tx.fetch(
        """
        SELECT r.login_id, r.name AS pupil_name, s.name AS school_name, p.grade, k.name AS class_name
          FROM contact c
          JOIN registration r ON r.id = c.registration_id
          JOIN pupil p ON p.id = r.pupil_id
          JOIN school s ON s.id = p.school_id
          LEFT JOIN class_ k ON k.id = p.class_id
         WHERE c.address_id = :id ORDER BY r.id
        """,
        {"id": address_id},
    )


def invitation_params(invitation_id: int) -> str:
    """How an invitation's letter names it."""
    return json.dumps({"invitation": invitation_id})

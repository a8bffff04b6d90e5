"""Moments: the time that the gate has lived through, and what moves with it when it is set right."""

from typing import Final

from mailgate.core.instants import MINUTE, Instant, later
from mailgate.core.timekeeping import Moment
from mailgate.store.db import Tx

# The record is written every few seconds; what other rows say beyond that is of a time that was taken back.
_NEWER: Final = MINUTE


async def last_moment(tx: Tx) -> Moment | None:
    """The record; None: there is none yet."""
    row = await tx.one("SELECT at, boot, uptime, limit_ FROM moment")
    if row is None:
        return None
    return Moment(at=Instant(row["at"]), boot=row["boot"], uptime=row["uptime"], limit=Instant(row["limit_"]))


async def last_lived(tx: Tx, kept: Moment) -> Instant:
    """The last instant that was surely lived through: of the record, or of what was written in the seconds after it."""
    row = await tx.one(
        """
        SELECT (SELECT created_at FROM outbox ORDER BY id DESC LIMIT 1) AS owed,
               (SELECT at FROM audit ORDER BY id DESC LIMIT 1) AS decided
        """
    )
    written = [] if row is None else [at for at in (row["owed"], row["decided"]) if at is not None]
    return Instant(max([kept.at, *[at for at in written if at <= later(kept.at, _NEWER)]]))


async def keep_moment(tx: Tx, moment: Moment) -> None:
    """Write down what time it is."""
    await tx.run(
        """
        INSERT INTO moment (id, at, boot, uptime, limit_) VALUES (1, :at, :boot, :uptime, :limit)
            ON CONFLICT (id) DO UPDATE
           SET at = excluded.at, boot = excluded.boot, uptime = excluded.uptime, limit_ = excluded.limit_
        """,
        {"at": moment.at, "boot": moment.boot, "uptime": moment.uptime, "limit": moment.limit},
    )


async def shift_owed(tx: Tx, by: int) -> int:
    """Move the due times and ends of all that is owed; how many deliveries."""
    await tx.run(
        """
        UPDATE broadcast SET expires_at = expires_at + :by,
                             confirmed_at = CASE WHEN expanded_at IS NULL THEN confirmed_at + :by ELSE confirmed_at END
         WHERE state IN ('confirmed', 'sending', 'halted')
        """,
        {"by": by},
    )
    return await tx.run(
        "UPDATE outbox SET due_at = due_at + :by, expires_at = expires_at + :by WHERE state IN ('pending', 'leased')",
        {"by": by},
    )

"""The backlog: how much is owed, and since when, for those who watch."""

from dataclasses import dataclass

from mailgate.core.delivery import Lane, State
from mailgate.core.instants import Instant
from mailgate.store.db import Tx


@dataclass(frozen=True, slots=True)
class Counts:
    """Deliveries by state, and by lane and state."""

    by_state: dict[str, int]
    by_lane: dict[str, dict[str, int]]


async def counts(tx: Tx) -> Counts:
    """How many deliveries are in which state, in all and by lane; every state and lane is there."""
    rows = await tx.fetch("SELECT state, lane, COUNT(*) AS n FROM outbox GROUP BY state, lane")
    found = {(row["state"], row["lane"]): int(row["n"]) for row in rows}
    by_lane = {lane.name.lower(): {str(state): found.get((state, lane), 0) for state in State} for lane in Lane}
    by_state = {str(state): sum(of_lane[state] for of_lane in by_lane.values()) for state in State}
    return Counts(by_state=by_state, by_lane=by_lane)


async def oldest_pending(tx: Tx) -> Instant | None:
    """Since when the longest waiting delivery has been owed."""
    rows = await tx.fetch("SELECT MIN(created_at) AS oldest FROM outbox WHERE state = 'pending'")
    oldest = rows[0]["oldest"]
    return None if oldest is None else Instant(oldest)

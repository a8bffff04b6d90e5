"""The audit log: every decision of a person, append-only. Ids and words only."""

import json

from mailgate.core.instants import Instant
from mailgate.store.db import Tx


async def record(
    tx: Tx, *, at: Instant, actor: str, event: str, subject: str, detail: dict[str, object] | None = None
) -> None:
    """Add a line, in the transaction of the decision itself."""
    await tx.run(
        "INSERT INTO audit (at, actor, event, subject, detail) VALUES (:at, :actor, :event, :subject, :detail)",
        {"at": at, "actor": actor, "event": event, "subject": subject, "detail": json.dumps(detail or {})},
    )

"""Lives: the last starts of the sender, and how they ended."""

from typing import Final

from mailgate.core.care import Life
from mailgate.core.instants import Instant
from mailgate.store.db import Tx

_REMEMBERED: Final = 10


async def last_lives(tx: Tx) -> list[Life]:
    """The lives that are remembered, newest first."""
    rows = await tx.fetch("SELECT begun_at, ended_at, careful FROM life ORDER BY id DESC")
    return [
        Life(begun_at=Instant(row["begun_at"]), ended_well=row["ended_at"] is not None, is_careful=bool(row["careful"]))
        for row in rows
    ]


async def begin_life(tx: Tx, *, careful: bool, now: Instant) -> int:
    """A sender starts; its id. The oldest are forgotten."""
    rows = await tx.fetch(
        "INSERT INTO life (begun_at, careful) VALUES (:now, :careful) RETURNING id", {"now": now, "careful": int(careful)}
    )
    await tx.run("DELETE FROM life WHERE id <= :id", {"id": rows[0]["id"] - _REMEMBERED})
    return int(rows[0]["id"])


async def end_care(tx: Tx, life_id: int) -> None:
    """It takes as many rows at a time as it likes."""
    await tx.run("UPDATE life SET careful = 0 WHERE id = :id", {"id": life_id})


async def end_life(tx: Tx, life_id: int, *, now: Instant) -> None:
    """It ended well."""
    await tx.run("UPDATE life SET ended_at = :now WHERE id = :id", {"id": life_id, "now": now})

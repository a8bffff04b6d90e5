"""Mails kept whole and sealed: quarantine, and what goes on to the operator. And what each key proves."""

from mailgate.core.instants import Instant
from mailgate.store.db import Row, Tx


async def keep_mail(tx: Tx, *, mail_id: int, reason: str, sealed: bytes, octets: int, now: Instant) -> None:
    """Keep a mail under its drawn id."""
    await tx.run(
        """
        INSERT INTO kept_mail (id, reason, sealed, octets, received_at)
        VALUES (:id, :reason, :sealed, :octets, :now)
        """,
        {"id": mail_id, "reason": reason, "sealed": sealed, "octets": octets, "now": now},
    )


async def quarantined(tx: Tx) -> list[Row]:
    """id, reason, octets, received_at of what made us stumble, newest first."""
    return await tx.fetch(
        """
        SELECT id, reason, octets, received_at FROM kept_mail
         WHERE reason <> 'operator' ORDER BY received_at DESC, id
        """
    )


async def quarantined_by_id(tx: Tx, mail_id: int) -> Row | None:
    """id, reason, sealed, octets, received_at of a mail that made us stumble."""
    return await tx.one(
        """
        SELECT id, reason, sealed, octets, received_at FROM kept_mail WHERE id = :id AND reason <> 'operator'
        """,
        {"id": mail_id},
    )


async def kept_by_id(tx: Tx, mail_id: int) -> Row | None:
    """id, reason, sealed, octets, received_at."""
    return await tx.one(
        "SELECT id, reason, sealed, octets, received_at FROM kept_mail WHERE id = :id", {"id": mail_id}
    )


async def drop_quarantined(tx: Tx, mail_id: int) -> bool:
    """Forget a mail that made us stumble. False: there is none."""
    return await tx.run("DELETE FROM kept_mail WHERE id = :id AND reason <> 'operator'", {"id": mail_id}) == 1


async def key_proofs(tx: Tx) -> dict[str, bytes]:
    """What each key of this database gives for the constant."""
    return {row["key"]: row["proof"] for row in await tx.fetch("SELECT key, proof FROM key_check")}


async def add_key_proof(tx: Tx, *, key: str, proof: bytes) -> None:
    """Remember a key by its proof; the first one stays."""
    await tx.run(
        "INSERT INTO key_check (key, proof) VALUES (:key, :proof) ON CONFLICT (key) DO NOTHING",
        {"key": key, "proof": proof},
    )

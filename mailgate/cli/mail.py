"""Broadcasts, the outbox and quarantine, for operators."""

from typing import Any  # rows on their way to JSON

import click

from mailgate.cli.root import config_option, iso, json_option, main, refuse, row_id, run, show, show_one
from mailgate.core.broadcast import Event
from mailgate.core.instants import SECOND
from mailgate.footing import Footing
from mailgate.journeys.life import move_broadcast
from mailgate.ops.wake import ring
from mailgate.store import audiences, backlog, broadcasts, kept, receipts
from mailgate.store.db import Row, Tx
from mailgate.vault import AddressVault

_STATES = ("handed_over", "delivered", "bounced", "failed", "expired", "cancelled", "confirmed")


@main.group()
def broadcast() -> None:
    """What staff sent, and what became of it."""


@broadcast.command("list")
@config_option
@json_option
@click.pass_context
def list_broadcasts(context: click.Context, as_json: bool) -> None:
    """All broadcasts, newest first."""

    async def work(footing: Footing) -> list[dict[str, Any]]:
        async with footing.db.read() as tx:
            return [await _line(tx, footing, row) for row in await broadcasts.all_broadcasts(tx)]

    show(run(context, work), as_json=as_json)


@broadcast.command("show")
@click.argument("broadcast_id", type=row_id)
@config_option
@json_option
@click.pass_context
def show_broadcast(context: click.Context, broadcast_id: int, as_json: bool) -> None:
    """One broadcast with its text."""

    async def work(footing: Footing) -> dict[str, Any]:
        async with footing.db.read() as tx:
            row = await _known(tx, broadcast_id)
            text = footing.texts.open_text(row["text"], "text", broadcast_id)
            return {**await _line(tx, footing, row), "text": text}

    show_one(run(context, work), as_json=as_json)


async def _line(tx: Tx, footing: Footing, row: Row) -> dict[str, Any]:
    counts = await receipts.delivery_counts(tx, row["id"])
    return {
        "id": row["id"],
        "kind": row["kind"],
        "subject": footing.texts.open_text(row["subject"], "subject", row["id"]),
        "audience": [part["part"] for part in await audiences.parts_of(tx, row["id"])],
        "state": row["state"],
        "recipients": row["recipients"],
        **{state: counts.get(state, 0) for state in _STATES},
        "created": iso(row["created_at"]),
        "confirmed_at": iso(row["confirmed_at"]),
        "done_at": iso(row["done_at"]),
    }


async def _known(tx: Tx, broadcast_id: int) -> Row:
    row = await broadcasts.broadcast_by_id(tx, broadcast_id)
    if row is None:
        refuse(f"there is no broadcast {broadcast_id}; see `mailgate broadcast list`")
    return row


def _move(context: click.Context, broadcast_id: int, event: Event) -> None:
    async def work(footing: Footing) -> None:
        async with footing.db.write() as tx:
            row = await _known(tx, broadcast_id)
            if not await move_broadcast(tx, row, event, actor="operator", now=footing.clock.now()):
                refuse(f"broadcast {broadcast_id} is {row['state']}: {event.value} is not possible now")
        ring(footing.settings.state_dir / "wake.sock")

    run(context, work)


@broadcast.command("halt")
@click.argument("broadcast_id", type=row_id)
@config_option
@click.pass_context
def halt(context: click.Context, broadcast_id: int) -> None:
    """Hand over nothing more of a broadcast for now."""
    _move(context, broadcast_id, Event.HALT)


@broadcast.command("resume")
@click.argument("broadcast_id", type=row_id)
@config_option
@click.pass_context
def resume(context: click.Context, broadcast_id: int) -> None:
    """Go on with a halted broadcast."""
    _move(context, broadcast_id, Event.RESUME)


@broadcast.command("cancel")
@click.argument("broadcast_id", type=row_id)
@config_option
@click.pass_context
def cancel(context: click.Context, broadcast_id: int) -> None:
    """End a broadcast; what was not handed over is not sent."""
    _move(context, broadcast_id, Event.CANCEL)


@main.group("outbox")
def outbox_group() -> None:
    """Every mail that is owed."""


@outbox_group.command("stats")
@config_option
@json_option
@click.pass_context
def stats(context: click.Context, as_json: bool) -> None:
    """How many mails are in which state, and how long the oldest has been waiting."""

    async def work(footing: Footing) -> dict[str, Any]:
        async with footing.db.read() as tx:
            return await outbox_stats(tx, footing)

    show_one(run(context, work), as_json=as_json)


async def outbox_stats(tx: Tx, footing: Footing) -> dict[str, Any]:
    """The figures of `outbox stats`."""
    counts = await backlog.counts(tx)
    oldest = await backlog.oldest_pending(tx)
    waiting = None if oldest is None else max(0, footing.clock.now() - oldest) / SECOND
    return {**counts.by_state, "oldest_pending_s": waiting, "by_lane": counts.by_lane}


@main.group()
def quarantine() -> None:
    """Mails that made the gate stumble, kept sealed."""


@quarantine.command("list")
@config_option
@json_option
@click.pass_context
def list_quarantine(context: click.Context, as_json: bool) -> None:
    """All quarantined mails, newest first."""

    async def work(footing: Footing) -> list[dict[str, Any]]:
        async with footing.db.read() as tx:
            return [
                {"id": row["id"], "reason": row["reason"], "octets": row["octets"], "received": iso(row["received_at"])}
                for row in await kept.quarantined(tx)
            ]

    show(run(context, work), as_json=as_json)


@quarantine.command("show")
@click.argument("mail_id", type=row_id)
@config_option
@click.pass_context
def show_quarantined(context: click.Context, mail_id: int) -> None:
    """Print a quarantined mail, its envelope as lines before it. It holds personal data: mind where it goes."""

    async def work(footing: Footing) -> bytes:
        async with footing.db.read() as tx:
            row = await kept.quarantined_by_id(tx, mail_id)
        if row is None:
            refuse(f"there is no quarantined mail {mail_id}; see `mailgate quarantine list`")
        return AddressVault(footing.keys, footing.dice).open_mail(row["sealed"], mail_id)

    click.echo(run(context, work), nl=False)


@quarantine.command("drop")
@click.argument("mail_id", type=row_id)
@config_option
@click.pass_context
def drop(context: click.Context, mail_id: int) -> None:
    """Forget a quarantined mail."""

    async def work(footing: Footing) -> bool:
        async with footing.db.write() as tx:
            return await kept.drop_quarantined(tx, mail_id)

    if not run(context, work):
        refuse(f"there is no quarantined mail {mail_id}")

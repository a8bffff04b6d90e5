"""The clock: what of it is believed, and the word of a person that it is right."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import nullcontext
from typing import TypeVar

import click

from mailgate.cli.root import Refused, config_option, iso, json_option, main, settings_of, show_one, unfit_refused
from mailgate.core.instants import SECOND
from mailgate.core.timekeeping import Moment, doubt
from mailgate.footing import check_schema
from mailgate.journeys.timekeeping import believe, compared
from mailgate.ops.lock import AlreadyRunning, SenderLock
from mailgate.runtime import SystemClock
from mailgate.settings import Settings
from mailgate.store.db import Db

T = TypeVar("T")

_ADVICE = {
    "believed": "nothing to do",
    "doubted": "set the machine's clock; if it is right, stop the gate, run `mailgate clock believe` and start it again",
    "unknown": "the gate does not start: set the machine's clock; if it is right, run `mailgate clock believe`",
}


@main.group()
def clock() -> None:
    """The machine's clock, and whether the gate believes it."""


@clock.command("show")
@config_option
@json_option
@click.pass_context
def show_clock(context: click.Context, as_json: bool) -> None:
    """The gate's time and the machine's, and what to do when they differ."""

    async def work(db: Db) -> tuple[Moment, Moment | None]:
        async with db.read() as tx:
            return await compared(tx, SystemClock())

    machine, gate = _in_store(settings_of(context), work)
    off = 0 if gate is None else doubt(now=gate.at, wall=machine.at)
    state = "unknown" if gate is None else "doubted" if off else "believed"
    row = {
        "state": state,
        "gate": None if gate is None else iso(gate.at),
        "machine": iso(machine.at),
        "off_s": None if gate is None else off // SECOND,
        "advice": _ADVICE[state],
    }
    show_one(row, as_json=as_json)


@clock.command("believe")
@config_option
@click.pass_context
def believe_clock(context: click.Context) -> None:
    """Take the machine's clock for right, whatever the gate thought; the gate must be stopped, both sides."""
    settings = settings_of(context)
    now = SystemClock().moment()

    lock = settings.state_dir / "sender.lock"

    async def work(db: Db) -> int:
        async with db.write() as tx:
            return await believe(tx, now)

    try:
        with SenderLock(lock) if lock.exists() else nullcontext():  # one that we made would be ours alone
            moved = _in_store(settings, work)
    except AlreadyRunning:
        raise Refused("the gate is running: stop both sides, and start them again afterwards") from None
    click.echo(f"it is {iso(now.at)}; the ends of {moved} deliveries that are owed have moved with it")


def _in_store(settings: Settings, work: Callable[[Db], Awaitable[T]]) -> T:
    """Do some work on the store, whatever time it is."""

    async def with_store() -> T:
        check_schema(settings.database)
        db = await Db.open(settings.database)
        try:
            return await work(db)
        finally:
            await db.close()

    return unfit_refused(lambda: asyncio.run(with_store()))

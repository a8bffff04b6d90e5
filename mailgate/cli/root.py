"""What all commands share: the configuration, the open store, and how a refusal is said."""

import asyncio
import json
import sqlite3
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any, Final, NoReturn, TypeVar  # Any: rows on their way to JSON

import click

from mailgate import __version__, logs
from mailgate.core.instants import Instant, to_datetime
from mailgate.core.outages import StoreFull
from mailgate.core.timekeeping import TimeUnknown
from mailgate.footing import Footing, open_footing
from mailgate.settings import Settings, SettingsUnfit, load
from mailgate.store.connections import StoreUnfit
from mailgate.vault import MAIL_KEYS, KeysUnfit, SealBroken

T = TypeVar("T")

BAD_CONFIGURATION: Final = 78  # EX_CONFIG of sysexits.h


class Refused(click.ClickException):
    """The command is not done, for a reason that one line says."""

    exit_code = 1

    def show(self, file: object = None) -> None:
        click.echo(f"mailgate: {self.message}", err=True)


class BadConfiguration(Refused):
    """The configuration or a key is wrong."""

    exit_code = BAD_CONFIGURATION


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "-c",
    "--config",
    type=click.Path(path_type=Path),
    envvar="MAILGATE_CONFIG",
    default=Path("mailgate.toml"),
    show_default=True,
    help="The configuration file.",
)
@click.version_option(__version__, message="%(version)s")
@click.pass_context
def main(context: click.Context, config: Path) -> None:
    """A city's schools reach every guardian by e-mail, and nobody at a school ever sees an address."""
    context.obj = config


def config_option(command: Callable[..., None]) -> Callable[..., None]:
    """Let a command take `-c FILE` after its name too."""

    def remember(context: click.Context, _parameter: click.Parameter, value: Path | None) -> None:
        if value is not None:
            context.obj = value

    return click.option(
        "-c", "--config", type=click.Path(path_type=Path), expose_value=False, callback=remember, help="The configuration file."
    )(command)


row_id = click.IntRange(0, 2**63 - 1)  # what the store can look for
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON, for scripts.")


def settings_of(context: click.Context) -> Settings:
    """The checked configuration; a wrong one ends the command with 78, all faults named."""
    try:
        return load(context.find_object(Path) or Path("mailgate.toml"))
    except SettingsUnfit as error:
        raise BadConfiguration("\n".join(error.faults)) from None


def run(context: click.Context, work: Callable[[Footing], Awaitable[T]]) -> T:
    """Do some work on the open store."""
    settings = settings_of(context)
    logs.quieten()

    async def with_store() -> T:
        async with open_footing(settings, MAIL_KEYS) as footing:
            return await work(footing)

    return unfit_refused(lambda: asyncio.run(with_store()))


def unfit_refused(work: Callable[[], T]) -> T:
    """Turn what is wrong with keys, store, disk or clock into one line and an exit code. The texts hold nothing of what is stored."""
    try:
        return work()
    except KeysUnfit as error:
        raise BadConfiguration(str(error)) from None
    except (StoreUnfit, TimeUnknown) as error:
        raise Refused(str(error)) from None
    except StoreFull:
        refuse("the disk is full: nothing was changed; make room and try again")
    except SealBroken as error:
        refuse(f"something sealed in the database does not open: {error}")
    except sqlite3.Error as error:  # locked for too long, read-only, damaged
        refuse(f"the database did not do it: {error}")


def refuse(reason: str) -> NoReturn:
    """End the command with 1."""
    raise Refused(reason)


def show(rows: Sequence[dict[str, Any]], *, as_json: bool) -> None:
    """Print a list: JSON for scripts, columns for people."""
    if as_json:
        click.echo(json.dumps(rows, ensure_ascii=False, indent=2))
        return
    if not rows:
        click.echo("nothing to list")
        return
    table = [list(rows[0]), *([_cell(value) for value in row.values()] for row in rows)]
    widths = [max(_width(row[column]) for row in table) for column in range(len(table[0]))]
    for row in table:
        click.echo("  ".join(cell + " " * (width - _width(cell)) for cell, width in zip(row, widths, strict=True)).rstrip())


def show_one(row: dict[str, Any], *, as_json: bool) -> None:
    """Print one thing: JSON for scripts, lines for people."""
    if as_json:
        click.echo(json.dumps(row, ensure_ascii=False, indent=2))
        return
    for key, value in row.items():
        click.echo(f"{key}: {_cell(value)}")


def iso(instant: int | None) -> str | None:
    """An instant as scripts read it: ISO 8601 in UTC."""
    return None if instant is None else to_datetime(Instant(instant)).strftime("%Y-%m-%dT%H:%M:%SZ")


def _cell(value: Any) -> str:
    match value:
        case None:
            return "-"
        case list() | tuple():
            return ",".join(map(str, value))
        case dict():
            return ", ".join(f"{key} {_cell(inner)}" for key, inner in value.items())
        case _:
            return str(value)


def _width(text: str) -> int:
    return sum(1 if ord(char) < 0x1100 else 2 for char in text)

"""Setting up and running: init, check-config, migrate, serve, version."""

import asyncio
import errno
import re
import ssl
from pathlib import Path
from typing import Final, Literal

import click

from mailgate import __version__, logs
from mailgate.cli.root import BadConfiguration, Refused, config_option, main, refuse, settings_of, unfit_refused
from mailgate.core.hostport import split_hostport
from mailgate.footing import Footing, open_footing, schema_of
from mailgate.journeys.sample import load_sample
from mailgate.ops.certificate import self_signed
from mailgate.ops.lock import AlreadyRunning
from mailgate.places import folder
from mailgate.runtime import SystemClock, SystemDice
from mailgate.settings import Settings, SettingsUnfit, parse
from mailgate.store import migrate as migrations
from mailgate.vault import MAIL_KEYS, new_key

_WRONG_FILE: Final = (FileNotFoundError, PermissionError, NotADirectoryError, IsADirectoryError, ssl.SSLError)
_NO_PORT: Final = frozenset({errno.EADDRINUSE, errno.EADDRNOTAVAIL, errno.EACCES})


@main.command()
@click.argument("directory", type=click.Path(path_type=Path, file_okay=False))
@click.option("--domain", required=True, help="The one domain of all our mail.")
@click.option("--public-url", required=True, help="Where guardians reach the pages.")
@click.option("--smtp", metavar="H:P", help="Where mail comes in.")
@click.option("--submission", metavar="H:P", help="Where staff hand in mail.")
@click.option("--web", metavar="H:P", help="Where the pages are served.")
@click.option("--relay", metavar="H:P", help="The next server.")
@click.option("--sample", is_flag=True, help="Load the sample city, to try things out.")
def init(
    directory: Path,
    domain: str,
    public_url: str,
    smtp: str | None,
    submission: str | None,
    web: str | None,
    relay: str | None,
    sample: bool,
) -> None:
    """Set up a gate in a folder: configuration, keys, certificate, database."""
    try:
        if directory.exists() and any(directory.iterdir()):
            refuse(f"{directory} is not empty: give a new or an empty folder")
        text = _configuration(domain, public_url, smtp, submission, web, relay, sample=sample)
        settings = parse(text, folder=directory.absolute())
        unfit_refused(lambda: _make(settings, text))
        if sample:
            unfit_refused(lambda: asyncio.run(_with_sample(settings)))
    except SettingsUnfit as error:
        raise click.UsageError("; ".join(error.faults)) from None
    except OSError as error:
        refuse(f"{directory} cannot be set up: {error.strerror}")
    click.echo(f"{directory} is set up. Keep a copy of {directory / 'keys'} in a safe place: without it no address can be read.")


def _configuration(
    domain: str,
    public_url: str,
    smtp: str | None,
    submission: str | None,
    web: str | None,
    relay: str | None,
    *,
    sample: bool,
) -> str:
    """The sample configuration with what was given put in."""
    text = (folder("data") / "mailgate.sample.toml").read_text(encoding="utf-8")
    text = _with(text, "gate", "domain", _quoted(domain))
    text = _with(text, "gate", "public_url", _quoted(public_url.rstrip("/")))
    text = _with(text, "tls", "cert", '"tls.crt"')
    text = _with(text, "tls", "key", '"tls.key"')
    if smtp:
        text = _with(text, "smtp", "listen", f"[{_quoted(smtp)}]")
    if submission:
        text = _with(text, "submission", "listen", f"[{_quoted(submission)}]")
    if web:
        text = _with(text, "web", "listen", _quoted(web))
    if relay:
        hostport = split_hostport(relay)
        if hostport is None:
            raise click.UsageError(f'--relay: "{relay}" is not HOST:PORT')
        text = _with(text, "relay", "host", _quoted(hostport[0]))
        text = _with(text, "relay", "port", str(hostport[1]))
    if sample:
        text = _with(text, "gate", "board", _quoted("潮見市教育委員会"))
        text = _with(text, "gate", "name", _quoted("潮見市学校メール"))
        text = _with(text, "gate", "helpline", _quoted("0120-000-000（平日 8:00〜22:00）"))
        text = _with(text, "dns", "servers", '"none"')
    return text


def _with(text: str, section: str, key: str, value: str) -> str:
    """The configuration with one value changed, its comment kept."""
    pattern = re.compile(rf"(\[{section}\].*?^{key} = )[^\n#]*?( *(?:#[^\n]*)?\n)", re.DOTALL | re.MULTILINE)
    changed, count = pattern.subn(lambda found: found[1] + value + found[2], text, count=1)
    assert count == 1, f"{section}.{key} is not in the sample configuration"
    return changed


def _quoted(value: str) -> str:
    escaped = re.sub(r'[\\"\x00-\x1f\x7f]', lambda found: f"\\u{ord(found[0]):04x}", value)
    return f'"{escaped}"'


def _make(settings: Settings, text: str) -> None:
    """Write everything. Keys and the database are nobody else's to read."""
    directory, dice = settings.folder, SystemDice()
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "mailgate.toml").write_text(text, encoding="utf-8")
    keys = directory / "keys"
    keys.mkdir(mode=0o700)
    for name in MAIL_KEYS:
        _write_private(keys / name, new_key(dice))
    certificate, key = self_signed(settings.gate.domain, now=SystemClock().now())
    (directory / "tls.crt").write_bytes(certificate)
    _write_private(directory / "tls.key", key)
    _write_private(settings.database, b"")
    migrations.upgrade(settings.database)

    async def learn_keys() -> None:
        async with open_footing(settings, MAIL_KEYS):
            pass

    asyncio.run(learn_keys())


def _write_private(path: Path, content: bytes) -> None:
    path.touch(mode=0o600)
    path.write_bytes(content)


async def _with_sample(settings: Settings) -> None:
    async with open_footing(settings, MAIL_KEYS) as footing:
        await _load(footing)


async def _load(footing: Footing) -> None:
    await load_sample(
        folder("data") / "sample",
        db=footing.db,
        keys=footing.keys,
        texts=footing.texts,
        passwords=footing.passwords,
        clock=footing.clock,
        dice=footing.dice,
    )


@main.command("check-config")
@config_option
@click.pass_context
def check_config(context: click.Context) -> None:
    """Check the configuration and name all faults at once."""
    settings = settings_of(context)
    click.echo(f"the configuration in {settings.folder} is good")


@main.command()
@config_option
@click.pass_context
def migrate(context: click.Context) -> None:
    """Bring the database to the schema of this version; create it if there is none."""
    settings = settings_of(context)
    if not settings.database.parent.is_dir():
        refuse(f"the folder {settings.database.parent} is missing")
    unfit_refused(lambda: _migrate(settings.database))
    click.echo(f"{settings.database} has the schema {migrations.newest()}")


def _migrate(database: Path) -> None:
    schema_of(database)  # refuses what is no database, or a newer one
    if not database.exists():
        _write_private(database, b"")
    migrations.upgrade(database)


@main.command()
def version() -> None:
    """Print the version."""
    click.echo(__version__)


@main.command()
@click.argument("side", type=click.Choice(["both", "mail", "web"]), default="both")
@config_option
@click.pass_context
def serve(context: click.Context, side: Literal["both", "mail", "web"]) -> None:
    """Run both sides, or only the mail side or the web side."""
    import uvloop

    from mailgate import app

    settings = settings_of(context)
    logs.configure()

    def work() -> None:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(app.serve(settings, side))

    try:
        unfit_refused(work)
    except AlreadyRunning as error:
        raise Refused(str(error)) from None
    except _WRONG_FILE as error:
        named = f": {error.filename}" if error.filename else ""
        raise BadConfiguration(f"cannot open a file that the configuration names: {error.strerror}{named}") from None
    except OSError as error:
        raise Refused(f"cannot start: {error.strerror or error}") from None
    except ExceptionGroup as group:
        taken = _cannot_listen(group)
        if taken is None:
            raise
        # Not 78, which a supervisor takes for final: the port may be free, or the network there, in a moment.
        raise Refused(f"cannot listen: {taken.strerror or taken}") from None


def _cannot_listen(error: Exception) -> OSError | None:
    """The error of a port that cannot be had, if that is what stopped the start."""
    match error:
        case ExceptionGroup():
            return next((found for each in error.exceptions if (found := _cannot_listen(each))), None)
        case OSError() if error.errno is not None and (error.errno in _NO_PORT or error.errno < 0):  # below 0: of the resolver
            return error
        case _:
            return None

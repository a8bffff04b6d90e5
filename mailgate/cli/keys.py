"""Keys that an operator makes: so far, the one that signs our mail."""

import os
from pathlib import Path

import click

from mailgate.cli.root import BadConfiguration, config_option, json_option, main, refuse, settings_of, show_one
from mailgate.settings import SELECTOR
from mailgate.vault import KeysUnfit


@main.group()
def keys() -> None:
    """Keys, beyond those that `init` makes."""


@keys.command("dkim")
@click.option("--selector", metavar="NAME", help="The key's name in the DNS, when it is not the configured one: to change keys.")
@config_option
@json_option
@click.pass_context
def dkim(context: click.Context, selector: str | None, as_json: bool) -> None:
    """Make the key that signs our mail, if it is not there, and print its DNS record."""
    from mailgate.journeys.signing import key_file, load_signing_key
    from mailgate.letters.dkim import dns_record, new_private_key

    settings = settings_of(context)
    selector = selector or settings.dkim.selector or "mailgate"
    if not SELECTOR.fullmatch(selector):
        refuse(f'"{selector}" cannot be a selector: use up to 40 of a-z 0-9 - . such as s2026')
    path = key_file(settings.keys_dir, selector)
    made = not path.exists() and _write_new(path, new_private_key())
    try:
        record = dns_record(load_signing_key(settings.keys_dir, domain=settings.gate.domain, selector=selector))
    except KeysUnfit as error:
        raise BadConfiguration(str(error)) from None
    row = {"selector": selector, "file": str(path), "made": made, "name": record.name, "type": "TXT"}
    if as_json:
        show_one({**row, "value": record.value, "strings": record.strings}, as_json=True)
        return
    show_one({**row, "value": " ".join(f'"{string}"' for string in record.strings)}, as_json=False)
    if selector != settings.dkim.selector:
        click.echo(f'The gate signs with this key when [dkim] selector = "{selector}" is set; publish the record before.', err=True)


def _write_new(path: Path, content: bytes) -> bool:
    """Write a file that nobody else can read and that was not there."""
    try:
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(content)
    except OSError as error:
        refuse(f"the key {path} cannot be written: {error.strerror}")
    return True

"""The documents name every setting, command and log event there is, and nothing that is not there."""

import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path

import click
import msgspec
import pytest

from tests.guards.repo import ROOT, Table, flat, name, read, table, ticked, tracked

OPERATIONS = "docs/operations.md"
SAMPLE = "data/mailgate.sample.toml"


def differences(documented: Mapping[str, object], real: Mapping[str, object]) -> Iterator[str]:
    """What one side has and the other has not, or has otherwise."""
    for key in sorted(documented.keys() | real.keys()):
        if key not in real:
            yield f"{key}: is in the documents only"
        elif key not in documented:
            yield f"{key}: is not in the documents"
        elif documented[key] != real[key]:
            yield f"{key}: the documents say {documented[key]!r}, the code {real[key]!r}"


def settings_in(rows: Table) -> dict[str, object]:
    """Keys and defaults of the settings' table; a default is written as in the file."""
    return {ticked(row["key"])[0]: tomllib.loads(f"default = {ticked(row['default'])[0]}")["default"] for row in rows}


def settings_in_code() -> dict[str, object]:
    """Every key there is, with its default."""
    from mailgate.settings import Settings

    tree = msgspec.json.decode(msgspec.json.encode(Settings(), enc_hook=str))  # tuples are lists in a file
    return flat({section: keys for section, keys in tree.items() if isinstance(keys, Mapping)})


def commands_in(rows: Table) -> dict[str, object]:
    """Commands of the commands' table, without `mailgate` and arguments: words in capitals and options are none of the name."""
    return {
        " ".join(word for word in text.split() if word.islower() and not word.startswith(("-", "["))): True
        for row in rows
        for text in ticked(row["command"])
    }


def commands_in_code(group: click.Group, above: str = "") -> Iterator[tuple[str, click.Command]]:
    """Every command below a group, by its words."""
    for word, command in group.commands.items():
        if isinstance(command, click.Group):
            if command.invoke_without_command:
                yield above + word, command
            yield from commands_in_code(command, f"{above}{word} ")
        else:
            yield above + word, command


def our_commands() -> dict[str, click.Command]:
    from mailgate.cli import main

    return dict(commands_in_code(main))


def events_in(rows: Table) -> dict[str, object]:
    """The log events that the table explains."""
    return {ticked(row["event"])[0]: True for row in rows}


def test_every_setting_has_a_row_with_its_default() -> None:
    assert list(differences(settings_in(table(OPERATIONS, "Settings")), settings_in_code())) == []


def test_every_setting_is_in_the_sample_file_with_its_default() -> None:
    assert list(differences(flat(tomllib.loads(read(SAMPLE))), settings_in_code())) == []


def test_every_command_has_a_row() -> None:
    assert list(differences(commands_in(table(OPERATIONS, "Commands")), dict.fromkeys(our_commands(), True))) == []


def test_every_command_says_in_its_help_what_it_does() -> None:
    assert [words for words, command in our_commands().items() if not command.help] == []


def test_every_log_event_has_a_row() -> None:
    from mailgate.logs import EVENTS

    assert list(differences(events_in(table(OPERATIONS, "Log events")), dict.fromkeys(EVENTS, True))) == []


def test_a_setting_that_differs_is_found() -> None:
    rows = [{"key": "`a.b`", "default": "`1`"}, {"key": "`a.c`", "default": "`[]`"}, {"key": "`a.d`", "default": '`"x"`'}]
    assert [line.split(":")[0] for line in differences(settings_in(rows), flat({"a": {"b": 2, "c": [], "e": 1}}))] == ["a.b", "a.d", "a.e"]


def test_a_command_is_known_by_its_words() -> None:
    @click.group()
    def main() -> None: ...

    @main.group()
    def school() -> None: ...

    @school.command()
    def add() -> None: ...

    rows = [{"command": "`school add SLUG --kind KIND`"}, {"command": "`init DIR`"}]
    assert dict(commands_in_code(main)).keys() == {"school add"}
    assert commands_in(rows).keys() == {"school add", "init"}


# Links and records

LINK = re.compile(r"\[[^\]]+\]\((?!https?:|mailto:|#)([^)#\s]+)(?:#[^)]*)?\)")
DOCUMENTS = [path for path in tracked() if path.suffix == ".md"]
RECORDS = sorted((ROOT / "docs" / "adr").glob("*.md"))


def dead_links(text: str, folder: Path) -> list[str]:
    """Links of a document to files that are not there."""
    return [link for link in LINK.findall(text) if not (folder / link).exists()]


@pytest.mark.parametrize("path", DOCUMENTS, ids=name)
def test_a_documents_links_lead_somewhere(path: Path) -> None:
    assert dead_links(path.read_text(encoding="utf-8"), path.parent) == []


def test_a_dead_link_is_found() -> None:
    assert dead_links("[a](attic.md#x), [b](README.md), [c](https://example.jp/)", ROOT) == ["attic.md"]


@pytest.mark.parametrize("path", RECORDS, ids=name)
def test_a_decision_is_told_in_15_to_25_lines(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert re.fullmatch(r"\d{4}-[a-z0-9-]+", path.stem)
    assert text.startswith("# ")
    assert 15 <= text.count("\n") <= 25


def test_decisions_are_numbered_without_gaps() -> None:
    assert [int(path.stem[:4]) for path in RECORDS] == list(range(1, len(RECORDS) + 1))

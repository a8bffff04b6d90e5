"""What holds for every command: help, where the configuration comes from, and how it refuses."""

import os
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import click
import pytest

from mailgate import __version__
from mailgate.cli import main
from mailgate.cli.root import Refused, iso, unfit_refused
from mailgate.core.outages import StoreFull
from mailgate.store.connections import StoreUnfit
from mailgate.vault import SealBroken
from tests.cli.run import Commands, refused, run
from tests.conftest import ROOT

# Every command that opens the store, with arguments that would do.
STORE_COMMANDS = {
    "school add": ("kita-es", "--name", "北", "--kind", "elementary"),
    "school list": (),
    "school code": ("kita-es",),
    "school rotate-code": ("kita-es",),
    "registration show": ("hanako2026",),
    "registration code": ("hanako2026",),
    "staff add": ("--role", "board", "--scope", "all", "--name", "n", "--address", "a@example.jp"),
    "staff list": (),
    "staff disable": ("1",),
    "broadcast list": (),
    "broadcast show": ("1",),
    "broadcast halt": ("1",),
    "broadcast resume": ("1",),
    "broadcast cancel": ("1",),
    "outbox stats": (),
    "quarantine list": (),
    "quarantine show": ("1",),
    "quarantine drop": ("1",),
    "serve": ("mail",),
}
# Those that open it without a key, whatever time it is.
CLOCK_COMMANDS = {"clock show": (), "clock believe": ()}
CONFIG_COMMANDS = {**STORE_COMMANDS, **CLOCK_COMMANDS, "check-config": (), "migrate": (), "keys dkim": ()}
NO_CONFIG = {"init", "version", "demo"}


def words_of(group: click.Group, above: str = "") -> Iterator[str]:
    for word, command in group.commands.items():
        yield above + word
        if isinstance(command, click.Group):
            yield from words_of(command, f"{above}{word} ")


def leaves(group: click.Group, above: str = "") -> Iterator[str]:
    for word, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from leaves(command, f"{above}{word} ")
        else:
            yield above + word


def arguments(words: str) -> list[str]:
    return [*words.split(), *CONFIG_COMMANDS[words]]


def test_every_command_is_in_one_of_these_tables() -> None:
    assert set(leaves(main)) == set(CONFIG_COMMANDS) | NO_CONFIG


@pytest.mark.parametrize("words", ["", *words_of(main)])
@pytest.mark.parametrize("option", ["--help", "-h"])
def test_every_command_explains_itself(words: str, option: str) -> None:
    result = run(*words.split(), option)
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout.startswith("Usage: mailgate")


@pytest.mark.parametrize("words", [*words_of(main)])
def test_wrong_usage_is_2_and_a_hint(words: str) -> None:
    result = run(*words.split(), "--no-such-option")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "No such option" in result.stderr
    assert "Traceback" not in result.stderr


# Where the configuration comes from


@pytest.mark.parametrize("words", CONFIG_COMMANDS)
def test_a_missing_configuration_is_78_and_says_how_to_give_one(tmp_path: Path, words: str) -> None:
    missing = str(tmp_path / "none.toml")
    for result in (
        run("-c", missing, *arguments(words)),
        run(*arguments(words), "-c", missing),
        run(*arguments(words), "--config", missing),
        run(*arguments(words), env={"MAILGATE_CONFIG": missing}),
    ):
        refused(result, 78, missing, "-c FILE or MAILGATE_CONFIG")


def test_the_option_after_the_command_counts_more_than_the_one_before_it_and_that_more_than_the_environment(
    gate: Commands, tmp_path: Path
) -> None:
    good, bad = str(gate.config), str(tmp_path / "none.toml")
    assert run("-c", bad, "check-config", "-c", good).exit_code == 0
    assert run("-c", good, "check-config", "-c", bad).exit_code == 78
    assert run("-c", good, "check-config", env={"MAILGATE_CONFIG": bad}).exit_code == 0
    assert run("check-config", "-c", good, env={"MAILGATE_CONFIG": bad}).exit_code == 0
    assert run("check-config", env={"MAILGATE_CONFIG": good}).exit_code == 0


def test_without_any_it_is_the_file_in_the_folder_one_stands_in(gate: Commands, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(gate.folder)
    assert run("check-config").exit_code == 0
    assert run("check-config", env={"MAILGATE_CONFIG": ""}).exit_code == 0
    monkeypatch.chdir("/")
    refused(run("check-config"), 78, "mailgate.toml")


@pytest.mark.parametrize("words", CONFIG_COMMANDS)
def test_a_faulty_configuration_is_78_with_every_fault(gate: Commands, words: str) -> None:
    gate.config.write_text('gate.domain = "X"\nrelay.port = 0\n[smpt]\n')
    result = run("-c", str(gate.config), *arguments(words))
    assert (result.exit_code, result.stdout) == (78, "")
    assert [word for word in ("gate.domain", "relay.port", "smpt") if word in result.stderr] == ["gate.domain", "relay.port", "smpt"]
    assert len(result.stderr.splitlines()) == 3


# Keys and store


@pytest.mark.parametrize("words", STORE_COMMANDS)
def test_a_missing_key_is_78_and_named(gate: Commands, words: str) -> None:
    (gate.folder / "keys" / "address").unlink()
    gate.refused(78, *arguments(words), says="keys/address is missing")


@pytest.mark.parametrize("words", STORE_COMMANDS)
def test_a_wrong_key_is_78_and_named(gate: Commands, words: str) -> None:
    lines = (gate.folder / "keys" / "lookup").read_bytes()
    (gate.folder / "keys" / "address").write_bytes(lines)
    gate.refused(78, *arguments(words), says="the key file address is not the one")


def spoilt_by_garbage(path: Path) -> str:
    path.write_bytes(b"no database" * 1000)
    return "not a database"


def spoilt_in_the_middle(path: Path) -> str:
    content = path.read_bytes()
    path.write_bytes(content[:12288] + b"\xff" * (len(content) - 12288))
    return "restore it from a backup"


def made_by_a_newer_version(path: Path) -> str:
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.close()
    return "newer version of mailgate"


def never_migrated(path: Path) -> str:
    path.write_bytes(b"")
    return "run `mailgate migrate`"


def gone(path: Path) -> str:
    path.unlink()
    return "run `mailgate migrate`"


def a_folder(path: Path) -> str:
    path.unlink()
    path.mkdir()
    return "cannot be opened"


@pytest.mark.parametrize("words", [*STORE_COMMANDS, *CLOCK_COMMANDS])
@pytest.mark.parametrize("spoil", [spoilt_by_garbage, spoilt_in_the_middle, made_by_a_newer_version, never_migrated, gone, a_folder])
def test_a_database_that_cannot_be_used_is_1_and_says_what_to_do(gate: Commands, words: str, spoil: Callable[[Path], str]) -> None:
    says = spoil(gate.database)
    gate.refused(1, *arguments(words), says=says)


@pytest.mark.parametrize("spoil", [spoilt_by_garbage, made_by_a_newer_version, a_folder])
def test_migrating_what_cannot_be_migrated_is_1_and_changes_nothing(gate: Commands, spoil: Callable[[Path], str]) -> None:
    says = spoil(gate.database)
    before = gate.database.read_bytes() if gate.database.is_file() else b""
    gate.refused(1, "migrate", says=says)
    assert (gate.database.read_bytes() if gate.database.is_file() else b"") == before


BY_NAME = ["school code", "staff disable", "broadcast show", "broadcast halt", "quarantine show", "quarantine drop"]


@pytest.mark.parametrize("words", BY_NAME)
@pytest.mark.parametrize("wanted", ["99", "0", str(2**63 - 1), str(2**63), "9" * 5000])
def test_what_is_not_there_is_refused_and_named(gate: Commands, words: str, wanted: str) -> None:
    result = gate.run(*words.split(), wanted)
    assert result.exit_code in (1, 2)
    assert isinstance(result.exception, SystemExit)
    assert "Traceback" not in result.stderr
    if len(wanted) < 3 and wanted != "0":
        refused(result, 1, wanted)


@pytest.mark.parametrize(
    "trouble, says",
    [
        (StoreFull(), "make room"),
        (sqlite3.OperationalError("database is locked"), "database is locked"),
        (SealBroken("changed, or moved from another row"), "does not open"),
        (StoreUnfit("x"), "x"),
    ],
)
def test_what_fails_in_the_middle_is_one_line(trouble: Exception, says: str) -> None:
    def fail() -> None:
        raise trouble

    with pytest.raises(Refused, match=says) as caught:
        unfit_refused(fail)
    assert caught.value.exit_code == 1


# As a program


def program(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if name not in ("MAILGATE_CONFIG", "CREDENTIALS_DIRECTORY")}
    environment["PYTHONPATH"] = str(ROOT)
    return subprocess.run(
        [sys.executable, "-m", "mailgate", *arguments], cwd=cwd, capture_output=True, text=True, check=False, timeout=30, env=environment
    )


def test_the_program_says_its_version_and_its_refusals(gate: Commands) -> None:
    assert program("version", cwd=gate.folder).stdout == f"{__version__}\n"
    assert program("--version", cwd=gate.folder).stdout == f"{__version__}\n"
    missing = program("-c", "none.toml", "school", "list", cwd=gate.folder)
    assert (missing.returncode, missing.stdout, len(missing.stderr.splitlines())) == (78, "", 1)


def test_a_program_that_finds_no_database_in_its_file_ends(gate: Commands) -> None:
    spoilt_by_garbage(gate.database)
    done = program("school", "list", "--json", cwd=gate.folder)
    assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (1, "", 1)


@pytest.mark.parametrize(
    "lines, exit_code, says",
    [
        ('[tls]\ncert = "mailgate.toml"\nkey = "mailgate.toml"', 78, "cannot open a file"),
        ('[tls]\ncert = "none.crt"\nkey = "none.key"', 78, "No such file"),
        ('[relay]\nusername = "u"\npassword_file = "none"', 78, "No such file or directory: "),
        ('[dkim]\nselector = "none"', 78, "dkim.none.pem is missing"),
        ('[state]\ndir = "none"', 78, "sender.lock"),
        # What may be otherwise in a moment: a supervisor shall try again.
        ('[state]\ndir = "LONG"', 1, "cannot start: "),
        ('[web]\nlisten = "192.0.2.1:1"', 1, "cannot listen: "),
        ('[web]\nlisten = "TAKEN"', 1, "cannot listen: "),
        ('[web]\nlisten = "[::1%none]:0"', 1, "cannot listen: "),
    ],
)
def test_serve_names_what_it_cannot_start_with(gate: Commands, lines: str, exit_code: int, says: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        lines = lines.replace("TAKEN", "{}:{}".format(*other.getsockname())).replace("LONG", "s" * 150)
        (gate.folder / ("s" * 150)).mkdir()  # no socket can have so long a path
        gate.config.write_text(f'smtp.listen = ["127.0.0.1:0"]\n{lines}\n', encoding="utf-8")
        done = program("serve", cwd=gate.folder)
    assert (done.returncode, done.stdout) == (exit_code, ""), done.stderr
    *_log, line = done.stderr.splitlines()
    assert line.startswith("mailgate: ")
    assert says in line
    assert "Traceback" not in done.stderr


def test_instants_are_printed_as_iso_in_utc() -> None:
    assert (iso(0), iso(1_767_193_200_999_999), iso(None)) == ("1970-01-01T00:00:00Z", "2025-12-31T15:00:00Z", None)

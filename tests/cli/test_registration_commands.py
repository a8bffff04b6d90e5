"""`mailgate registration`: what the help desk may see and hand out."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from mailgate.cli import main
from mailgate.core.codes import read_one_time

ADDRESS = "brass.kohiruimaki-9799@ymobile.example.jp"
ID = "a-kohiruimaki24"


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A gate with the sample city, whose families have registered."""
    folder = tmp_path_factory.mktemp("gate") / "gate"
    made = CliRunner().invoke(
        main, ["init", str(folder), "--domain", "gate.example.jp", "--public-url", "http://127.0.0.1:1", "--sample"]
    )
    assert made.exit_code == 0, made.output
    return folder / "mailgate.toml"


def run(config: Path, *arguments: str) -> Result:
    return CliRunner().invoke(main, ["-c", str(config), "registration", *arguments])


def shown(config: Path, *arguments: str) -> dict[str, Any]:
    done = run(config, *arguments, "--json")
    assert done.exit_code == 0, done.output
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_an_id_shows_the_child_and_the_contacts_and_no_address(config: Path) -> None:
    found = shown(config, "show", "A-Kohiruimaki24")
    assert found["login_id"] == ID
    assert found["on_roster"] is True
    assert {"pupil", "kana", "school", "class", "registered"} <= found.keys()
    assert len(found["contacts"]) == 3
    assert found["contacts"][0] == {
        "label": "母 iPhone",
        "kind": "guardian",
        "provider": found["contacts"][0]["provider"],
        "language": "ja",
        "added": found["registered"],
        "proven": None,
        "last_delivery": None,
        "paused": None,
    }
    assert "@" not in json.dumps(found)


def test_people_read_lines(config: Path) -> None:
    done = run(config, "show", ID)
    assert done.exit_code == 0
    assert f"login_id: {ID}" in done.stdout
    assert "label 母 iPhone, kind guardian" in done.stdout
    assert ADDRESS.partition("@")[0] not in done.stdout
    assert "@" not in done.stdout


def test_a_code_is_shown_once_and_another_takes_its_place(config: Path) -> None:
    first, second = shown(config, "code", ID), shown(config, "code", ID)
    assert first["login_id"] == ID
    assert first.keys() == {"login_id", "code", "valid_to"}
    codes = {read_one_time(first["code"]), read_one_time(second["code"])}
    assert len(codes) == 2
    assert None not in codes
    database = (config.parent / "mailgate.db").read_bytes()
    assert first["code"].replace("-", "").encode() not in database


@pytest.mark.parametrize("command", ["show", "code"])
def test_an_unknown_id_is_refused_with_what_to_do(config: Path, command: str) -> None:
    done = run(config, command, "nobody99")
    assert done.exit_code == 1
    assert 'there is no registration "nobody99"' in done.stderr

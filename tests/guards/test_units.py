"""Units verify, are shut tight, say why line by line, and keep the wall between the two sides."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.guards.repo import ROOT, name

UNITS = sorted((ROOT / "systemd").glob("*.service"))
OTHERS = sorted((ROOT / "systemd").glob("*.d/*.conf"))
THRESHOLD = 30  # tenths: an exposure of at most 3.0

needs_systemd = pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="left out: there is no systemd-analyze here")


def unexplained(text: str) -> list[str]:
    """Settings of a unit without a comment above; a run of settings may share one."""
    found, explained = [], False
    for line in text.splitlines():
        if line.startswith("#"):
            explained = True
        elif "=" not in line:
            explained = False
        elif not explained and not line.startswith("Description="):
            found.append(line)
    return found


def credentials(text: str) -> set[str]:
    """The keys that a unit is handed."""
    return set(re.findall(r"^LoadCredential=(\w+):", text, re.MULTILINE))


def value(text: str, setting: str) -> str:
    """What a unit sets something to."""
    found = re.search(rf"^{setting}=(.*)$", text, re.MULTILINE)
    return found[1] if found else ""


def analysed(unit: Path, folder: Path, *how: str) -> subprocess.CompletedProcess[str]:
    """What systemd-analyze says of a unit; the program it starts is replaced by one that every machine has."""
    copy = folder / unit.name
    copy.write_text(re.sub(r"^ExecStart=\S+", "ExecStart=/bin/true", unit.read_text(), flags=re.MULTILINE))
    return subprocess.run(["systemd-analyze", *how, "--no-pager", str(copy)], capture_output=True, text=True, check=False, timeout=50)


def test_there_is_a_unit_for_each_side() -> None:
    assert [unit.stem for unit in UNITS] == ["mailgate-mail", "mailgate-web"]


@pytest.mark.parametrize("unit", UNITS, ids=name)
def test_every_line_of_a_unit_says_why(unit: Path) -> None:
    assert unexplained(unit.read_text()) == []


@pytest.mark.parametrize("path", [*UNITS, *OTHERS], ids=name)
def test_a_unit_has_no_stray_blanks_or_long_lines(path: Path) -> None:
    assert [line for line in path.read_text().splitlines() if line != line.rstrip() or len(line) > 140] == []


def test_each_side_is_handed_the_keys_that_it_loads() -> None:
    from mailgate.vault import MAIL_KEYS, WEB_KEYS

    mail, web = (credentials(unit.read_text()) for unit in UNITS)
    assert mail == set(MAIL_KEYS)
    assert web == set(WEB_KEYS)
    assert not web & {"address", "lookup"}


def test_the_two_sides_share_a_group_and_no_user() -> None:
    mail, web = (unit.read_text() for unit in UNITS)
    assert value(mail, "User") != value(web, "User")
    assert value(mail, "Group") == value(web, "Group") == "mailgate"


def test_a_bare_setting_is_found() -> None:
    assert unexplained("[Service]\n# why\nA=1\nB=2\n\nC=3\n") == ["C=3"]


@needs_systemd
@pytest.mark.parametrize("unit", UNITS, ids=name)
def test_a_unit_verifies(unit: Path, tmp_path: Path) -> None:
    said = analysed(unit, tmp_path, "verify", "--man=no")
    assert (said.returncode, said.stdout + said.stderr) == (0, "")


@needs_systemd
@pytest.mark.parametrize("unit", UNITS, ids=name)
def test_a_unit_is_shut_tight(unit: Path, tmp_path: Path) -> None:
    said = analysed(unit, tmp_path, "security", "--offline=yes", f"--threshold={THRESHOLD}")
    assert said.returncode == 0, said.stdout


@needs_systemd
def test_an_open_unit_and_a_wrong_one_are_found(tmp_path: Path) -> None:
    unit = tmp_path / "source" / "open.service"
    unit.parent.mkdir()
    unit.write_text("[Service]\nExecStart=/x\nRestrat=always\n")
    assert "Restrat" in analysed(unit, tmp_path, "verify", "--man=no").stderr
    assert analysed(unit, tmp_path, "security", "--offline=yes", f"--threshold={THRESHOLD}").returncode != 0

"""No file names one machine's folders, or the host that packages happened to come from."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.guards.repo import name, tracked

# Written so that the patterns do not find themselves.
FOLDERS = re.compile(r"(?<![\w.~-])/(?:work|farm|root|home/\w+|Users/\w+)/|[.]pyenv/|[.]library/")
HOSTS = re.compile(
    r"pypi\.(?:org|python)|python(?:hosted)\.|registry\.npm(?:js)|(?:deb|snapshot)\.debian\.|index(?:-url)\s*[=:]", re.IGNORECASE
)


def faults(text: str) -> Iterator[str]:
    """Lines of a text that name such a place."""
    for number, line in enumerate(text.splitlines(), 1):
        for pattern in (FOLDERS, HOSTS):
            if found := pattern.search(line):
                yield f"{number}: {found[0]}"


def texts() -> Iterator[Path]:
    """The tracked files that are text."""
    return (path for path in tracked() if b"\0" not in path.read_bytes()[:4096])


def test_no_file_names_a_place_of_one_machine() -> None:
    found = {name(path): list(faults(path.read_text(encoding="utf-8", errors="replace"))) for path in texts()}
    assert {path: lines for path, lines in found.items() if lines} == {}


@pytest.mark.parametrize("word", ["/{}/main/x", "see /{}/x", '"/{}/a"'])
@pytest.mark.parametrize("folder", ["work", "root", "home/taro"])
def test_a_folder_of_one_machine_is_found(word: str, folder: str) -> None:
    assert len(list(faults(word.format(folder)))) == 1


@pytest.mark.parametrize("host", ["files.python{}.org", "registry.npm{}.org"])
def test_a_registry_is_found(host: str) -> None:
    assert len(list(faults("url = " + host.format("hosted" if "python" in host else "js")))) == 1


@pytest.mark.parametrize("text", ["root@localhost", "/var/lib/mailgate/keys", "homework/", "/homework/x", "a/work/b.py", "ProtectHome=yes"])
def test_other_places_pass(text: str) -> None:
    assert list(faults(text)) == []

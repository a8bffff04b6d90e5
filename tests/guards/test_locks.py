"""The locks are what pyproject.toml asks for, each version with its hashes, and they agree with each other."""

import re
import tomllib
from collections.abc import Iterable, Iterator

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.guards.repo import read

LOCKS = ("requirements.lock", "build.lock", "dev.lock")
PROJECT = tomllib.loads(read("pyproject.toml"))
GROUPS = PROJECT["dependency-groups"]


def pins(lock: str) -> dict[str, str]:
    """Each package of a lock's text with its version."""
    return {canonicalize_name(found[1]): found[2] for found in re.finditer(r"^([\w.-]+)==([^\s;\\]+)", lock, re.MULTILINE)}


def unmet(wanted: Iterable[str], lock: str) -> Iterator[str]:
    """What is asked for and not in the lock in such a version."""
    pinned = pins(lock)
    for text in wanted:
        requirement = Requirement(text)
        version = pinned.get(canonicalize_name(requirement.name))
        if version is None or version not in requirement.specifier:
            yield text


def unhashed(lock: str) -> list[str]:
    """Pins that no hash follows."""
    entries = re.split(r"^(?=[\w.-]+==)", lock, flags=re.MULTILINE)
    return [entry.split()[0] for entry in entries if "==" in entry and "--hash=sha256:" not in entry]


def group(name: str) -> list[str]:
    """The packages of a dependency group, with those of the groups in it."""
    return [text for item in GROUPS[name] for text in ([item] if isinstance(item, str) else group(item["include-group"]))]


@pytest.mark.parametrize(
    "lock, wanted",
    [
        ("requirements.lock", PROJECT["project"]["dependencies"]),
        ("build.lock", group("build")),
        ("dev.lock", [*PROJECT["project"]["dependencies"], *group("dev")]),
    ],
)
def test_a_lock_holds_what_is_asked_for(lock: str, wanted: list[str]) -> None:
    assert list(unmet(wanted, read(lock))) == [], "run `make lock`"


@pytest.mark.parametrize("lock", LOCKS)
def test_every_pin_has_a_hash(lock: str) -> None:
    assert unhashed(read(lock)) == []


@pytest.mark.parametrize("lock", ["requirements.lock", "build.lock"])
def test_the_developers_lock_has_the_same_versions(lock: str) -> None:
    assert pins(read(lock)).items() <= pins(read("dev.lock")).items(), "run `make lock`"


@pytest.mark.parametrize("wanted", ["other", "thing>=2"])
def test_an_unmet_wish_is_found(wanted: str) -> None:
    assert list(unmet([wanted], "thing==1.4 \\\n    --hash=sha256:00\n")) == [wanted]


def test_a_pin_without_a_hash_is_found() -> None:
    assert unhashed("a==1 \\\n    --hash=sha256:00\nb==2\n") == ["b==2"]

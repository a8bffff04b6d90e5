"""Imports go down, and each room uses only the libraries that docs/architecture.md gives it. The table there is the rule."""

import ast
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.guards.repo import ROOT, name, python_files, table, ticked


@dataclass(frozen=True, slots=True)
class Room:
    """One row of the table."""

    floor: int
    libraries: frozenset[str]


def rooms() -> dict[str, Room]:
    """Each room by its name: a folder or a module of mailgate/."""
    return {
        room.rstrip("/").removesuffix(".py"): Room(int(row["floor"]), frozenset(ticked(row["outside it may use"])))
        for row in table("docs/architecture.md", "Rooms")
        for room in ticked(row["room"])
    }


def imported(source: str, module: str) -> Iterator[tuple[int, str]]:
    """Line and dotted name of everything that a module imports; relative imports are resolved."""
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Import(names=aliases):
                yield from ((node.lineno, alias.name) for alias in aliases)
            case ast.ImportFrom(module=origin, names=aliases, level=level):
                above = module.split(".")[: -level or None]
                base = ".".join([*above, *([origin] if origin else [])]) if level else origin or ""
                # `from mailgate import core` names a room in the second half.
                yield from ((node.lineno, f"{base}.{alias.name}" if base == "mailgate" else base) for alias in aliases)


def faults(source: str, module: str, known: dict[str, Room]) -> Iterator[str]:
    """What a module imports against the rules, in words."""
    own = module.split(".")[1]
    if own not in known:
        yield f"{module}: docs/architecture.md has no room {own}"
        return
    for line, target in imported(source, module):
        top, _, rest = target.partition(".")
        if top in sys.stdlib_module_names:
            continue
        room = rest.split(".")[0]
        if top != "mailgate":
            if top not in known[own].libraries:
                yield f"{module}:{line}: the room {own} may not use {top}"
        elif room not in known:
            if room not in ("", "__version__"):  # the package itself
                yield f"{module}:{line}: docs/architecture.md has no room {room}"
        elif room != own and known[room].floor >= known[own].floor:
            yield f"{module}:{line}: {own} (floor {known[own].floor}) imports {target} (floor {known[room].floor})"


def module_of(path: Path) -> str:
    """The dotted name of a module of ours; a package counts as its __init__."""
    return ".".join(path.relative_to(ROOT).with_suffix("").parts)


MODULES = [path for path in python_files("mailgate") if path != ROOT / "mailgate" / "__init__.py"]


@pytest.mark.parametrize("path", MODULES, ids=name)
def test_a_module_imports_from_lower_floors_and_its_own_room_only(path: Path) -> None:
    assert list(faults(path.read_text(), module_of(path), rooms())) == []


def test_every_room_in_the_table_is_named_once() -> None:
    named = [room for row in table("docs/architecture.md", "Rooms") for room in ticked(row["room"])]
    assert len(named) == len(set(named))


KNOWN = {
    "core": Room(0, frozenset({"itsdangerous"})),
    "store": Room(2, frozenset()),
    "letters": Room(2, frozenset()),
    "smtp": Room(4, frozenset({"aiosmtpd"})),
}


@pytest.mark.parametrize(
    "module, source",
    [
        ("mailgate.core.x", "import mailgate.store.db"),
        ("mailgate.core.x", "from mailgate.store import db"),
        ("mailgate.core.x", "from mailgate import store"),
        ("mailgate.core.x", "from ..store.db import Db"),
        ("mailgate.core.x", "from .. import store"),
        ("mailgate.store.x", "from mailgate.letters import y"),
        ("mailgate.store.x", "def f():\n    import aiosmtpd"),
        ("mailgate.core.x", "import aiosmtpd.smtp"),
        ("mailgate.core.x", "from mailgate.attic import y"),
        ("mailgate.attic.x", ""),
    ],
)
def test_an_import_against_the_rules_is_found(module: str, source: str) -> None:
    assert len(list(faults(source, module, KNOWN))) == 1


@pytest.mark.parametrize(
    "module, source",
    [
        ("mailgate.smtp.x", "from mailgate.store.db import Db\nimport aiosmtpd.smtp\nimport asyncio"),
        ("mailgate.core.x", "from . import y\nfrom mailgate.core.z import w\nimport itsdangerous"),
        ("mailgate.smtp.x", "import mailgate\nfrom mailgate import __version__"),
    ],
)
def test_an_import_by_the_rules_passes(module: str, source: str) -> None:
    assert list(faults(source, module, KNOWN)) == []

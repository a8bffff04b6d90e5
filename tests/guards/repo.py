"""Where the project's files are, and how its documents' tables are read."""

import ast
import re
import subprocess
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
PACKAGE = ROOT / "mailgate"

MADE = {".git", ".venv", "__pycache__", ".hypothesis", ".mypy_cache", ".pytest_cache", ".ruff_cache", "test-artefacts", "demo-state"}

Table = list[dict[str, str]]


@cache
def tracked() -> tuple[Path, ...]:
    """The project's files: what git tracks, and what it would if it were added now. Without git, all but what is made."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if listed.returncode == 0:
        names = {ROOT / name for name in listed.stdout.split("\0") if name}
        return tuple(sorted(path for path in names if path.is_file()))
    return tuple(sorted(path for path in ROOT.rglob("*") if path.is_file() and not MADE & set(path.relative_to(ROOT).parts)))


def python_files(folder: str) -> tuple[Path, ...]:
    """The tracked Python files below a folder."""
    return tuple(path for path in tracked() if path.suffix == ".py" and path.is_relative_to(ROOT / folder))


def name(path: Path) -> str:
    """A file's name as people say it: from the root, with slashes."""
    return path.relative_to(ROOT).as_posix()


def read(path: str) -> str:
    """The text of a file, named from the root."""
    return (ROOT / path).read_text(encoding="utf-8")


def section(text: str, heading: str) -> str:
    """What stands under a Markdown heading, up to the next one of its rank or a higher one.

    Raises:
        LookupError: there is no such heading.
    """
    found = re.search(rf"^(#+) {re.escape(heading)}\s*$", text, re.MULTILINE)
    if found is None:
        raise LookupError(f"no heading {heading!r}")
    rest = text[found.end() :]
    end = re.search(rf"^#{{1,{len(found[1])}}} ", rest, re.MULTILINE)
    return rest[: end.start()] if end else rest


def tables(text: str) -> Iterator[Table]:
    r"""The Markdown tables of a text, each as rows by column name. A `|` inside a cell is written `\|`."""
    for block in re.findall(r"(?:^\|.*\n?)+", text, re.MULTILINE):
        rows = [[cell.strip().replace("\\|", "|") for cell in re.split(r"(?<!\\)\|", line.strip())[1:-1]] for line in block.splitlines()]
        head, _rule, *body = rows
        yield [dict(zip(head, row, strict=True)) for row in body]


def table(path: str, heading: str) -> Table:
    """The first table under a heading of a document."""
    return next(tables(section(read(path), heading)))


def ticked(cell: str) -> list[str]:
    """What stands in backticks in a cell."""
    return re.findall(r"`([^`]+)`", cell)


def flat(tree: Mapping[str, object]) -> dict[str, object]:
    """Nested keys as dotted ones: {"gate": {"domain": x}} is {"gate.domain": x}."""
    keys: dict[str, object] = {}
    for key, value in tree.items():
        if isinstance(value, Mapping):
            keys |= {f"{key}.{inner}": innermost for inner, innermost in flat(value).items()}
        else:
            keys[key] = value
    return keys


def dotted(node: ast.expr) -> str:
    """The name that an expression spells, such as `asyncio.sleep`; empty if it is no plain name."""
    match node:
        case ast.Name(id=word):
            return word
        case ast.Attribute(value=inner, attr=word):
            return f"{dotted(inner)}.{word}"
        case _:
            return ""

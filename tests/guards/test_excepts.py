"""What catches everything stands in the outermost loops only; there it logs, sets the item aside and goes on."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.guards.repo import dotted, name, python_files

# At most four, each with what it keeps going.
OUTERMOST = {
    "mailgate/smtp/conversation.py": "mail's edge: the peer is asked to come again",
    "mailgate/journeys/inbox.py": "the mail at hand: sealed into quarantine, and the next one is served",
    "mailgate/web/security.py": "the page at hand: the person sees what to do",
    "mailgate/journeys/feed.py": "the sender: the row is set aside",
}
EVERYTHING = frozenset({"Exception", "BaseException", "builtins.Exception", "builtins.BaseException"})


def broad_catches(source: str) -> Iterator[int]:
    """Lines that catch everything and do not raise it again."""
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.ExceptHandler(type=kind, body=body):
                kinds = kind.elts if isinstance(kind, ast.Tuple) else [kind]
                everything = any(k is None or dotted(k) in EVERYTHING for k in kinds)
                # What cleans up and raises on swallows nothing.
                raises_on = isinstance(body[-1], ast.Raise) and not any(isinstance(n, ast.Return) for n in ast.walk(node))
                if everything and not raises_on:
                    yield node.lineno
            case ast.Call(func=called, args=args) if dotted(called) in ("suppress", "contextlib.suppress"):
                if any(dotted(arg) in EVERYTHING for arg in args):
                    yield node.lineno


@pytest.mark.parametrize("path", python_files("mailgate"), ids=name)
def test_a_module_catches_what_it_can_name(path: Path) -> None:
    found = list(broad_catches(path.read_text()))
    if name(path) in OUTERMOST:
        assert len(found) >= 1, "it catches nothing broadly any more: take it off the list"
    else:
        assert found == []


def test_at_most_four_modules_catch_everything() -> None:
    assert len(OUTERMOST) <= 4


@pytest.mark.parametrize(
    "source",
    [
        "try:\n    f()\nexcept Exception:\n    pass",
        "try:\n    f()\nexcept:\n    pass",
        "try:\n    f()\nexcept (ValueError, BaseException) as e:\n    log(e)",
        "try:\n    f()\nexcept Exception:\n    if x:\n        return\n    raise",
        "with contextlib.suppress(Exception):\n    f()",
    ],
)
def test_a_catch_of_everything_is_found(source: str) -> None:
    assert len(list(broad_catches(f"def g():\n    {source.replace(chr(10), chr(10) + '    ')}"))) == 1


@pytest.mark.parametrize(
    "source",
    [
        "try:\n    f()\nexcept (ValueError, OSError):\n    pass",
        "try:\n    f()\nexcept BaseException:\n    g()\n    raise",
        "try:\n    f()\nexcept Exception as e:\n    raise StoreFull from e",
    ],
)
def test_a_narrow_catch_passes(source: str) -> None:
    assert list(broad_catches(source)) == []

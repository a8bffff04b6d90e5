"""SQL is text: statements of the store are joined from constants and from nothing that comes in."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.guards.repo import dotted, name, python_files

CONSTANT = re.compile(r"(?:\w+\.)*_?[A-Z][A-Z0-9_]*")
SQL = re.compile(r"\b(?:SELECT|INSERT|UPDATE|DELETE|FROM|WHERE|SET|EXISTS|RETURNING)\b")


def _words(node: ast.expr) -> str:
    """The fixed words of a text."""
    match node:
        case ast.Constant(value=str(text)):
            return text
        case ast.JoinedStr(values=parts):
            return " ".join(map(_words, parts))
        case ast.BinOp(left=left, right=right):
            return f"{_words(left)} {_words(right)}"
        case _:
            return ""


def _fillings(node: ast.expr) -> Iterator[ast.expr]:
    """What is put between them."""
    match node:
        case ast.Constant():
            return
        case ast.JoinedStr(values=parts):
            yield from (part.value for part in parts if isinstance(part, ast.FormattedValue))
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            yield from _fillings(left)
            yield from _fillings(right)
        case _:
            yield node


def faults(source: str) -> Iterator[str]:
    """Where a statement is built from something else than constants."""
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.JoinedStr() | ast.BinOp(op=ast.Add()) if SQL.search(_words(node)):
                strange = [ast.unparse(part) for part in _fillings(node) if not CONSTANT.fullmatch(dotted(part))]
                yield from (f"{node.lineno}: {part}" for part in strange)
            case ast.BinOp(left=text, op=ast.Mod()) if SQL.search(_words(text)):
                yield f"{node.lineno}: %"
            case ast.Call(func=ast.Attribute(value=text, attr="format" | "join" | "replace")) if SQL.search(_words(text)):
                yield f"{node.lineno}: a method of text"


@pytest.mark.parametrize("path", python_files("mailgate/store"), ids=name)
def test_a_statement_is_joined_from_constants(path: Path) -> None:
    assert list(faults(path.read_text())) == []


@pytest.mark.parametrize(
    "source",
    [
        'f"SELECT a FROM b WHERE c = {c}"',
        'f"UPDATE {table(x)} SET a = 1"',
        '"SELECT a FROM b WHERE c = " + c',
        '"SELECT a FROM b WHERE c = \'%s\'" % c',
        '"DELETE FROM {}".format(table)',
    ],
)
def test_a_statement_made_of_what_comes_in_is_found(source: str) -> None:
    assert len(list(faults(source))) == 1


def test_a_statement_of_constants_passes() -> None:
    assert list(faults('X = f"SELECT {_COLUMNS} FROM a" + store.TAIL\nf"{path}: not there"')) == []

"""Functions fit a screen, modules fit a head, and a module starts with its rules (style S2, S15)."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.guards.repo import name, python_files

MODULE_LINES = 300
FUNCTION_LINES = 40


def faults(source: str) -> Iterator[str]:
    """What is too long in a module, and a head that is missing."""
    tree = ast.parse(source)
    if tree.body and ast.get_docstring(tree) is None:
        yield "the module has no head"
    lines = source.count("\n")
    if lines > MODULE_LINES:
        yield f"the module has {lines} lines"
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.end_lineno is not None:
            length = node.end_lineno - node.lineno + 1
            if length > FUNCTION_LINES:
                yield f"{node.name} has {length} lines"


@pytest.mark.parametrize("path", python_files("mailgate"), ids=name)
def test_a_module_fits_a_head_and_its_functions_a_screen(path: Path) -> None:
    assert list(faults(path.read_text())) == []


@pytest.mark.parametrize(
    "source",
    [
        "x = 1\n",
        '"""Head."""\n' + "x = 1\n" * MODULE_LINES,
        '"""Head."""\ndef f():\n' + "    x = 1\n" * FUNCTION_LINES,
        '"""Head."""\nclass A:\n    async def f(self):\n' + "        x = 1\n" * FUNCTION_LINES,
    ],
)
def test_what_is_too_long_is_found(source: str) -> None:
    assert len(list(faults(source))) == 1

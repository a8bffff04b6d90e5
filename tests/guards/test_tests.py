"""Tests do not sleep, do not patch, and say why they skip."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.guards.repo import dotted, name, python_files

LONGEST_SLEEP = 0.2  # between two looks at something that another process does


def faults(source: str) -> Iterator[str]:
    """What a test module does that none may."""
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Import(names=aliases) if any("mock" in alias.name for alias in aliases):
                yield f"{node.lineno}: imports mock"
            case ast.ImportFrom(module=str(module)) if "mock" in module or any(alias.name == "mock" for alias in node.names):
                yield f"{node.lineno}: imports mock"
            case ast.Call(func=called):
                yield from _call_faults(node, dotted(called))
            case ast.Attribute() if dotted(node) in ("pytest.mark.skip", "pytest.mark.xfail") and not _is_called(node, source):
                yield f"{node.lineno}: {dotted(node)} without a reason"


def _call_faults(node: ast.Call, called: str) -> Iterator[str]:
    given = {word.arg for word in node.keywords}
    match called.rpartition(".")[2]:
        case "sleep":
            match node.args:
                case [ast.Constant(value=int() | float() as seconds)] if seconds <= LONGEST_SLEEP:
                    return
                case [ast.Call(func=ast.Name(id="min"), args=[_, ast.Constant(value=int() | float() as bound)])] if bound <= LONGEST_SLEEP:
                    return  # a slow peer, played: as slow as a test wants, within bounds
                case _:
                    yield f"{node.lineno}: sleeps longer than {LONGEST_SLEEP} s, or as long as nobody can see"
        case "skip" | "xfail" if called.startswith("pytest.") and not node.args and "reason" not in given:
            yield f"{node.lineno}: {called} without a reason"
        case "skipif" if "reason" not in given:
            yield f"{node.lineno}: {called} without a reason"


def _is_called(node: ast.Attribute, source: str) -> bool:
    """Whether parentheses follow: `mark.skip(reason=...)` is judged as a call."""
    line = source.splitlines()[(node.end_lineno or 1) - 1]
    return line[node.end_col_offset :].lstrip().startswith("(")


@pytest.mark.parametrize("path", python_files("tests"), ids=name)
def test_a_test_module_keeps_the_rules(path: Path) -> None:
    assert list(faults(path.read_text())) == []


@pytest.mark.parametrize(
    "source",
    [
        "import unittest.mock",
        "from unittest import mock",
        "from unittest.mock import patch",
        "time.sleep(1)",
        "await_ = asyncio.sleep(0.3)",
        "sleep(seconds)",
        "sleep(min(seconds, 5))",
        "pytest.skip()",
        "@pytest.mark.skip\ndef f(): ...",
        "@pytest.mark.skip()\ndef f(): ...",
        "@pytest.mark.xfail\ndef f(): ...",
        "@pytest.mark.skipif(True)\ndef f(): ...",
    ],
)
def test_a_broken_rule_is_found(source: str) -> None:
    assert len(list(faults(source))) == 1


@pytest.mark.parametrize(
    "source",
    [
        "asyncio.sleep(0)",
        "time.sleep(0.05)",
        "asyncio.sleep(min(self.delay_s, 0.2))",
        "pytest.skip('no chromium here')",
        "@pytest.mark.skip(reason='x')\ndef f(): ...",
        "@pytest.mark.skipif(True, reason='x')\ndef f(): ...",
    ],
)
def test_a_kept_rule_passes(source: str) -> None:
    assert list(faults(source)) == []

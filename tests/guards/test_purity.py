"""`core/` is pure, and one module alone has the clock and the dice."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.guards.repo import ROOT, dotted, name, python_files
from tests.guards.test_floors import imported

# The parts of the standard library that neither read nor write nor wait nor draw. Others come in with a reason.
PURE = frozenset({
    "__future__", "abc", "array", "base64", "binascii", "bisect", "codecs", "collections", "contextlib", "dataclasses", "datetime",
    "decimal", "enum", "fractions", "functools", "hashlib", "heapq", "hmac", "html", "ipaddress", "itertools", "math", "operator",
    "quopri", "re", "statistics", "string", "struct", "sys", "textwrap", "types", "typing", "unicodedata", "urllib.parse",
    "email.charset", "email.header", "email.quoprimime", "email.base64mime",  # the encoders alone: its parser is quadratic
})  # fmt: skip
OF_SYS = frozenset({"sys.byteorder", "sys.maxunicode", "sys.intern"})  # the rest of sys is the process
OURS = frozenset({"mailgate", "itsdangerous"})

CLOCK_AND_DICE = frozenset({"time", "random", "secrets"})
READINGS = frozenset({
    "datetime.now", "datetime.utcnow", "datetime.today", "datetime.datetime.now", "datetime.datetime.utcnow", "datetime.datetime.today",
    "date.today", "datetime.date.today", "os.urandom", "uuid.uuid1", "uuid.uuid4", "uuid1", "uuid4", "urandom",
})  # fmt: skip
DOORS = frozenset({"open", "print", "input", "exec", "eval", "breakpoint", "__import__"})


def clock_faults(source: str) -> Iterator[str]:
    """Where a module helps itself to the time or to chance."""
    for line, target in imported(source, "mailgate.room.module"):
        if target.split(".")[0] in CLOCK_AND_DICE:
            yield f"{line}: imports {target}"
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and dotted(node.func) in READINGS:
            yield f"{node.lineno}: calls {dotted(node.func)}"


def core_faults(source: str) -> Iterator[str]:
    """Where a module of core is not pure."""
    for line, target in imported(source, "mailgate.core.module"):
        if target not in PURE and target.split(".")[0] not in PURE | OURS:
            yield f"{line}: imports {target}"
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Await() | ast.AsyncFor() | ast.AsyncWith():
                yield f"{node.lineno}: waits"
            case ast.Call(func=ast.Name(id=word)) if word in DOORS:
                yield f"{node.lineno}: calls {word}"
            case ast.Attribute(value=ast.Name(id="sys")) if dotted(node) not in OF_SYS:
                yield f"{node.lineno}: uses {dotted(node)}"
            case ast.Global() | ast.Nonlocal():
                yield f"{node.lineno}: rebinds a name outside"


@pytest.mark.parametrize("path", [p for p in python_files("mailgate") if p != ROOT / "mailgate" / "runtime.py"], ids=name)
def test_the_time_and_chance_are_given_and_not_taken(path: Path) -> None:
    assert list(clock_faults(path.read_text())) == []


@pytest.mark.parametrize("path", python_files("mailgate/core"), ids=name)
def test_core_neither_waits_nor_opens_nor_draws(path: Path) -> None:
    assert list(core_faults(path.read_text())) == []


@pytest.mark.parametrize(
    "source",
    [
        "import time",
        "from random import random",
        "def f():\n    import secrets",
        "from datetime import datetime\ndatetime.now()",
        "import datetime\ndatetime.datetime.utcnow()",
        "import os\nos.urandom(3)",
    ],
)
def test_a_hidden_clock_is_found(source: str) -> None:
    assert len(list(clock_faults(source))) == 1


@pytest.mark.parametrize(
    "source",
    [
        "import asyncio",
        "import logging.handlers",
        "import urllib.request",
        "import email.utils",
        "from pathlib import Path",
        "async def f(x):\n    await x",
        "async def f(x):\n    async with x:\n        pass",
        "open('x')",
        "print(1)",
        "import sys\nsys.stdout.write('x')",
        "N = 0\ndef f():\n    global N",
    ],
)
def test_an_impure_line_in_core_is_found(source: str) -> None:
    assert len(list(core_faults(source))) == 1


def test_a_protocol_of_something_that_waits_may_be_described_in_core() -> None:
    assert list(core_faults("import urllib.parse\nfrom collections.abc import Iterator\nclass R:\n    async def close(self): ...")) == []

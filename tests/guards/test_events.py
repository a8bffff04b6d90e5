"""Every event that code logs is registered in logs.py, and every registered one is logged somewhere."""

import ast
from collections.abc import Iterator

import pytest

from tests.guards.repo import dotted, name, python_files

LEVELS = frozenset({"debug", "info", "warning", "error", "critical", "exception"})


def logged(source: str) -> Iterator[tuple[int, str]]:
    """Line and event of every log call; an event that is no plain text is shown as `?`."""
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Call(func=ast.Attribute(value=logger, attr=level), args=[event, *_]) if level in LEVELS and _is_logger(logger):
                yield node.lineno, event.value if isinstance(event, ast.Constant) and isinstance(event.value, str) else "?"


def _is_logger(node: ast.expr) -> bool:
    """A name such as log or self._log, or a call of get_logger."""
    if isinstance(node, ast.Call):
        return dotted(node.func).endswith("get_logger")
    return dotted(node).split(".")[-1].strip("_") in ("log", "logger")


def all_logged() -> dict[str, list[str]]:
    """Every event with the places that log it."""
    places: dict[str, list[str]] = {}
    for path in python_files("mailgate"):
        for line, event in logged(path.read_text()):
            places.setdefault(event, []).append(f"{name(path)}:{line}")
    return places


def test_what_is_logged_is_registered() -> None:
    from mailgate.logs import EVENTS

    assert {event: places for event, places in all_logged().items() if event not in EVENTS} == {}


def test_what_is_registered_is_logged() -> None:
    from mailgate.logs import EVENTS

    assert sorted(EVENTS.keys() - all_logged().keys()) == []


@pytest.mark.parametrize(
    "source, event",
    [
        ('log.info("mail.accepted", box=1)', "mail.accepted"),
        ('self._log.warning("x.y")', "x.y"),
        ('structlog.get_logger().error("x.y")', "x.y"),
        ("log.info(f'x{y}')", "?"),
        ("log.info(EVENT)", "?"),
    ],
)
def test_a_log_call_is_found(source: str, event: str) -> None:
    assert [found for _, found in logged(source)] == [event]


def test_another_call_of_that_name_is_none() -> None:
    assert list(logged('math.log.x("a")\nconsole.info("b")\nlog.bind("c")')) == []

"""Templates parse, name only templates that are there, and a name that nobody gave is an error and never an empty place."""

import ast
from collections.abc import Iterator
from pathlib import Path

import jinja2
import jinja2.meta
import pytest

from tests.guards.repo import ROOT, dotted, name, python_files, tracked

TEMPLATES = [path for path in tracked() if path.is_relative_to(ROOT / "templates")]


def template_faults(source: str, known: frozenset[str]) -> Iterator[str]:
    """What is wrong with a template's text; `known` are the names that it may include or extend."""
    environment = jinja2.Environment(undefined=jinja2.StrictUndefined, autoescape=True)
    try:
        tree = environment.parse(source)
    except jinja2.TemplateSyntaxError as error:
        yield f"{error.lineno}: {error.message}"
        return
    for other in jinja2.meta.find_referenced_templates(tree):
        if other is not None and other not in known:
            yield f"there is no template {other}"


def environment_faults(source: str) -> Iterator[int]:
    """Lines that build a jinja2 environment or template in which an unknown name would be empty."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and dotted(node.func).split(".")[-1] in ("Environment", "SandboxedEnvironment", "Jinja2Templates"):
            given = {word.arg: dotted(word.value) for word in node.keywords}
            if given.get("undefined", "").split(".")[-1] != "StrictUndefined":
                yield node.lineno


def known_names(path: Path) -> frozenset[str]:
    """How a template may name the others: from templates/, or from its own part of it (mail, web)."""
    part = ROOT / "templates" / path.relative_to(ROOT / "templates").parts[0]
    return frozenset(
        other.relative_to(base).as_posix() for other in TEMPLATES for base in (ROOT / "templates", part) if other.is_relative_to(base)
    )


@pytest.mark.parametrize("path", TEMPLATES, ids=name)
def test_a_template_parses_and_names_what_is_there(path: Path) -> None:
    if path.suffix in (".css", ".svg", ".png", ".ico"):
        return  # served as it is
    assert list(template_faults(path.read_text(encoding="utf-8"), known_names(path))) == []


def test_there_are_templates() -> None:
    assert TEMPLATES


@pytest.mark.parametrize("path", python_files("mailgate"), ids=name)
def test_every_environment_is_strict(path: Path) -> None:
    assert list(environment_faults(path.read_text())) == []


@pytest.mark.parametrize("source", ["{% if x %}", "{{ x", "{% extends 'attic.html' %}", "{% include 'attic.html' %}", "{% endfor %}"])
def test_a_broken_template_is_found(source: str) -> None:
    assert len(list(template_faults(source, frozenset({"base.html"})))) == 1


@pytest.mark.parametrize("source", ["jinja2.Environment()", "Environment(undefined=Undefined)", "x = jinja2.Environment(loader=y)"])
def test_a_lax_environment_is_found(source: str) -> None:
    assert len(list(environment_faults(source))) == 1


def test_a_strict_environment_passes() -> None:
    assert list(environment_faults("jinja2.Environment(loader=x, undefined=jinja2.StrictUndefined)")) == []

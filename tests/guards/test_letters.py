"""Every letter to a guardian has all three languages, those to staff have Japanese, and no template is there for nothing."""

from collections.abc import Iterable
from pathlib import Path

import pytest

from mailgate.core.letters import TO_GUARDIANS, TO_STAFF, BroadcastText
from mailgate.core.readers import Language
from tests.guards.repo import ROOT, tracked

MAIL = ROOT / "templates" / "mail"
SHARED = ("footer", "words")


def expected() -> frozenset[str]:
    """The templates that letters need."""
    in_all = [*(letter.name + "/" + part for letter in (*TO_GUARDIANS, BroadcastText) for part in ("subject", "text")), *SHARED]
    in_japanese = [f"{letter.name}/{part}" for letter in TO_STAFF for part in ("subject", "text")]
    return frozenset(
        [f"{name}.{language}.txt" for name in in_all for language in Language] + [f"{name}.{Language.JA}.txt" for name in in_japanese]
    )


def differences(there: Iterable[str]) -> list[str]:
    """What is missing, and what is there for nothing."""
    return sorted(expected().symmetric_difference(there))


def test_every_letter_is_there_in_its_languages_and_nothing_else_is() -> None:
    assert differences(path.relative_to(MAIL).as_posix() for path in tracked() if path.is_relative_to(MAIL)) == []


@pytest.mark.parametrize("name", ["invitation/text.easy.txt", "withdrawn/subject.en.txt", "preview/text.ja.txt", "words.en.txt"])
def test_a_missing_template_is_found(name: str) -> None:
    assert differences(expected() - {name}) == [name]


@pytest.mark.parametrize("name", ["preview/text.en.txt", "attic/text.ja.txt", "invitation/text.de.txt"])
def test_a_template_for_nothing_is_found(name: str) -> None:
    assert differences(expected() | {name}) == [name]


@pytest.mark.parametrize("path", [path for path in tracked() if path.is_relative_to(MAIL)], ids=lambda path: str(path.name))
def test_no_template_of_a_mail_has_a_url_of_its_own(path: Path) -> None:
    assert "http" not in path.read_text(encoding="utf-8")

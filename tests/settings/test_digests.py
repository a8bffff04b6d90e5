"""Keyed digests: found again by who has the key, and by an older key too."""

import pytest

from mailgate.vault import Digests, Keys

OLD, NEW, OTHER = b"o" * 32, b"n" * 32, b"x" * 32


def digests(*ring: bytes) -> Digests:
    return Digests(Keys({"web": ring}))


def test_a_digest_is_the_same_for_the_same_parts_and_key() -> None:
    assert digests(NEW).of("code", 1, "ABC") == digests(OLD, NEW).of("code", 1, "ABC")
    assert len(digests(NEW).of("code")) == 32


@pytest.mark.parametrize(
    "one, other",
    [
        (("code", 1, "A"), ("code", 2, "A")),
        (("code", "A"), ("login", "A")),
        (("code", "AB", "C"), ("code", "A", "BC")),
        (("code", "A", ""), ("code", "A")),
        (("code", "A\0B"), ("code", "A", "B")),
    ],
)
def test_other_parts_have_another_digest(one: tuple[str | int, ...], other: tuple[str | int, ...]) -> None:
    assert digests(NEW).of(*one) != digests(NEW).of(*other)  # type: ignore[arg-type]  # the first part is a text in each


def test_another_key_gives_another_digest() -> None:
    assert digests(NEW).of("code", 1) != digests(OTHER).of("code", 1)


def test_a_digest_of_an_older_key_is_still_recognised_and_a_strangers_is_not() -> None:
    made = digests(OLD).of("code", 1, "ABC")
    assert digests(OLD, NEW).matches(made, "code", 1, "ABC")
    assert not digests(OLD, NEW).matches(made, "code", 1, "ABD")
    assert not digests(NEW).matches(made, "code", 1, "ABC")
    assert not digests(NEW).matches(bytes(32), "code", 0, "")

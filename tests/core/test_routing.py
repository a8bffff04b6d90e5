import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailgate.core.addresses import Address, parse_spec
from mailgate.core.readers import Language
from mailgate.core.routing import (
    AskIds,
    Box,
    BoxNames,
    Join,
    Operator,
    Replies,
    ToBounce,
    ToBroadcast,
    ToReceipt,
    ToStop,
    is_ours,
    route,
)

DOMAIN = "gate.example.jp"


def _routed(local: str, names: BoxNames | None = None) -> Box | None:
    return route(Address(local, DOMAIN), domain=DOMAIN, names=names or BoxNames())


@pytest.mark.parametrize(
    "local, box",
    [
        ("touroku", Join()),
        ("TOUROKU", Join()),
        ("Touroku", Join()),
        ("code", Join(no_url=True)),
        ("Code", Join(no_url=True)),
        ("en", Join(Language.EN)),
        ("En", Join(Language.EN)),
        ("yasashii", Join(Language.EASY)),
        ("id", AskIds()),
        ("ID", AskIds()),
        ("renraku", Replies()),
        ("haishin+all", ToBroadcast("all")),
        ("haishin+kita-es.3-1", ToBroadcast("kita-es.3-1")),
        ("Haishin+Kita-ES", ToBroadcast("kita-es")),
        ("haishin+a+b", ToBroadcast("a+b")),
        ("k+abc234", ToReceipt("abc234")),
        ("K+ABC234", ToReceipt("abc234")),
        ("b+abc234", ToBounce("abc234")),
        ("yame+abc234", ToStop("abc234")),
        ("postmaster", Operator()),
        ("Abuse", Operator()),
    ],
)
def test_each_box_is_found_whatever_its_case(local: str, box: Box) -> None:
    assert _routed(local) == box


@pytest.mark.parametrize(
    "local",
    [
        "taro",
        "touroku+x",
        "renraku+x",
        "postmaster+x",
        "haishin",
        "haishin+",
        "k",
        "k+",
        "b",
        "yame",
        "+",
        "+all",
        "touroku.",
        "code+x",
        "id+x",
        "en+x",
        "yasashii+x",
        "easy",
        "ima",
        "kanri",
        "ok+abc",
        "ng+abc",
        "touroku%other.jp",
        "other.jp!touroku",
    ],
)
def test_all_else_is_no_box(local: str) -> None:
    assert _routed(local) is None


NAMES = BoxNames(
    join="Join", code="digits", en="eigo", easy="Kana", id="Who", broadcast="send", replies="office", receipt="read", bounce="ret", stop="S"
)  # fmt: skip


@pytest.mark.parametrize(
    "local, box",
    [
        ("join", Join()),
        ("digits", Join(no_url=True)),
        ("eigo", Join(Language.EN)),
        ("kana", Join(Language.EASY)),
        ("who", AskIds()),
        ("send+all", ToBroadcast("all")),
        ("office", Replies()),
        ("read+t", ToReceipt("t")),
        ("ret+t", ToBounce("t")),
        ("s+t", ToStop("t")),
    ],
)
def test_boxes_go_by_the_names_the_operator_gave_them_whatever_their_case(local: str, box: Box) -> None:
    assert _routed(local, NAMES) == box


@pytest.mark.parametrize(
    "local", ["touroku", "code", "en", "yasashii", "id", "haishin+all", "renraku", "k+t", "b+t", "yame+t"]
)
def test_a_box_that_was_renamed_has_its_old_name_no_more(local: str) -> None:
    assert _routed(local, NAMES) is None


def test_the_operator_is_reached_even_where_a_box_took_the_name() -> None:
    assert _routed("abuse", BoxNames(join="abuse")) == Operator()


@pytest.mark.parametrize("domain", ["other.jp", "x.gate.example.jp", "example.jp", "gate.example.jp.other.jp"])
def test_a_foreign_domain_is_none_of_ours(domain: str) -> None:
    assert not is_ours(Address("touroku", domain), DOMAIN)
    assert route(Address("touroku", domain), domain=DOMAIN, names=BoxNames()) is None


def test_our_domain_is_compared_without_case() -> None:
    assert is_ours(parse_spec("touroku@GATE.example.JP"), "Gate.Example.jp")


@given(st.text("abc+.-", min_size=1, max_size=20))
def test_a_tag_is_what_stands_behind_the_first_plus(tag: str) -> None:
    assert _routed(f"b+{tag}") == ToBounce(tag)


def test_a_token_does_not_show_itself() -> None:
    assert "abc234" not in repr([ToReceipt("abc234"), ToBounce("abc234"), ToStop("abc234")])

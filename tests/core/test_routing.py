import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailgate.core.addresses import Address, parse_spec
from mailgate.core.routing import (
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
        "code",
        "id",
        "ima",
        "kanri",
        "ok+abc",
        "ng+abc",
        "en",
        "yasashii",
        "touroku%other.jp",
        "other.jp!touroku",
    ],
)
def test_all_else_is_no_box(local: str) -> None:
    assert _routed(local) is None


def test_boxes_go_by_the_names_the_operator_gave_them() -> None:
    names = BoxNames(join="Join", broadcast="send", replies="office", receipt="read", bounce="ret", stop="stop")
    assert _routed("join", names) == Join()
    assert _routed("send+all", names) == ToBroadcast("all")
    assert _routed("office", names) == Replies()
    assert _routed("read+t", names) == ToReceipt("t")
    assert _routed("ret+t", names) == ToBounce("t")
    assert _routed("stop+t", names) == ToStop("t")
    assert [_routed(old, names) for old in ("touroku", "haishin+all", "renraku", "k+t", "b+t", "yame+t")] == [None] * 6


def test_the_case_of_a_configured_name_makes_no_difference() -> None:
    names = BoxNames(join="J", broadcast="S", replies="R", receipt="K", bounce="B", stop="Y")
    assert [_routed(local, names) for local in ("j", "s+t", "r", "k+t", "b+t", "y+t")] == [
        *(Join(), ToBroadcast("t"), Replies()),
        *(ToReceipt("t"), ToBounce("t"), ToStop("t")),
    ]


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

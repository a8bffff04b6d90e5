import pytest

from mailgate.core.lookups import Lack, is_name, is_within, records


@pytest.mark.parametrize(
    "text",
    ["a", "example.jp", "_dmarc.example.jp", "s1._domainkey.example.jp", "a" * 63 + ".jp", "taro+x=y._spf.example.jp", "a b.example.jp"],
)
def test_a_name_can_be_asked_for(text: str) -> None:
    assert is_name(text)


@pytest.mark.parametrize(
    "text", ["", ".", "a..b", ".a", "a.", "a" * 64 + ".jp", "a\\.b", "例え.jp", "a\0b", "a\nb", ".".join(["a" * 49] * 6)]
)
def test_no_name_is_asked_for(text: str) -> None:
    assert not is_name(text)


def test_a_name_of_the_longest_kind_can_be_asked_for() -> None:
    name = ".".join(["a" * 63] * 3 + ["a" * 61])
    assert len(name) == 253
    assert is_name(name)
    assert not is_name("a" + name)


@pytest.mark.parametrize(
    "name, is_in", [("example.jp", True), ("a.example.jp", True), ("anexample.jp", False), ("jp", False), ("example.jp.a", False)]
)
def test_a_name_is_within_a_domain_at_a_dot(name: str, is_in: bool) -> None:
    assert is_within(name, "example.jp") is is_in


def test_a_lack_holds_no_records() -> None:
    assert [records(lack) for lack in Lack] == [(), (), ()]
    assert records(("a", "b")) == ("a", "b")

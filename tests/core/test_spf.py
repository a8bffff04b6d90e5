from collections.abc import Callable, Mapping, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailgate.core.addresses import Address
from mailgate.core.spf import MAX_ASKING, check
from mailgate.core.spfrecord import Result
from tests.zones import Zone

V4, V6 = "192.0.2.7", "2001:db8::7"
SENDER = Address("taro", "example.jp")


def spf(
    record: str | None,
    *,
    ip: str = V4,
    sender: Address = SENDER,
    unknown: Sequence[str] = (),
    also: Mapping[str, Sequence[str]] | None = None,
    helo: str = "unknown",
) -> Result:
    own = {} if record is None else {"example.jp TXT": [record]}
    return Zone({**own, **(also or {})}, unknown=unknown).found(check(ip=ip, sender=sender, helo=helo))


@pytest.mark.parametrize(
    "record, result",
    [
        ("v=spf1", Result.NEUTRAL),
        ("V=SPF1 -all", Result.FAIL),
        ("v=spf1 all", Result.PASS),
        ("v=spf1 +all", Result.PASS),
        ("v=spf1  ~ALL ", Result.SOFTFAIL),
        ("v=spf1 ?all", Result.NEUTRAL),
        ("v=spf1 ip4:192.0.2.7 -all", Result.PASS),
        ("v=spf1 ip4:192.0.2.0/24 -all", Result.PASS),
        ("v=spf1 IP4:192.0.2.99/24 -all", Result.PASS),
        ("v=spf1 ip4:0.0.0.0/0 -all", Result.PASS),
        ("v=spf1 ip4:192.0.3.0/24 -all", Result.FAIL),
        ("v=spf1 -ip4:192.0.2.7 +all", Result.FAIL),
        ("v=spf1 ip6:2001:db8::/32 -all", Result.FAIL),
        ("v=spf1 unknown-modifier=x -all", Result.FAIL),
        ("v=spf1 exp=why.example.jp -all", Result.FAIL),
        ("v=spf1 x=%{c}%{r}%{t} -all", Result.FAIL),
        ("v=spf10 all", Result.NONE),
        ("v=spf1-all", Result.NONE),
        ("spf1 all", Result.NONE),
        (None, Result.NONE),
    ],
)
def test_a_record_without_questions(record: str | None, result: Result) -> None:
    assert spf(record) is result


@pytest.mark.parametrize(
    "record",
    [
        "v=spf1 everybody",
        "v=spf1 -all everybody",  # a fault counts wherever it is
        "v=spf1 all:x.jp",
        "v=spf1 all/24",
        "v=spf1 ip4:192.0.2",
        "v=spf1 ip4:192.0.2.7/33",
        "v=spf1 ip4:192.0.2.7/024",
        "v=spf1 ip4:2001:db8::7",
        "v=spf1 ip6:192.0.2.7/99/3",
        "v=spf1 ip4",
        "v=spf1 include",
        "v=spf1 include:",
        "v=spf1 include:x.jp/24",
        "v=spf1 exists",
        "v=spf1 ptr/24",
        "v=spf1 a:x.jp/33",
        "v=spf1 a//129",
        "v=spf1 a/",
        "v=spf1 a/24/24",
        "v=spf1 mx/01",
        "v=spf1 a:",
        "v=spf1 a:x.123",
        "v=spf1 a:x.-jp",
        "v=spf1 a:jp",
        "v=spf1 a:%{x}.jp",
        "v=spf1 a:%{d0}.jp",
        "v=spf1 a:%(d).jp",
        "v=spf1 a:%{d.jp",
        "v=spf1 a:x.%jp",
        "v=spf1 a:%{c}.jp",  # c, r and t belong to explanations
        "v=spf1 redirect=x.jp redirect=x.jp",
        "v=spf1 exp=x.jp exp=y.jp",
        "v=spf1 redirect=",
        "v=spf1 redirect=%",
        "v=spf1 ++all",
        "v=spf1 -",
        "v=spf1 \x80all",
        "v=spf1 " + "a " * 3_000,
    ],
)
def test_a_fault_in_a_record_is_permanent(record: str) -> None:
    assert spf(record) is Result.PERMERROR


def test_two_records_are_as_good_as_a_fault() -> None:
    assert spf(None, also={"example.jp TXT": ["v=spf1 all", "v=spf1 all"]}) is Result.PERMERROR
    assert spf(None, also={"example.jp TXT": ["other", "v=spf1 all"]}) is Result.PASS


WORLD = {
    "mail.example.jp A": ["192.0.2.7", "198.51.100.1"],
    "mail.example.jp AAAA": ["2001:db8::7"],
    "example.jp A": ["198.51.100.9"],
    "example.jp MX": ["mx.example.jp", "mail.example.jp"],
    "mx.example.jp A": ["198.51.100.2"],
    "near.jp A": ["192.0.2.200"],
    "near.jp AAAA": ["2001:db8:0:1::"],
    "pass.jp TXT": ["v=spf1 ip4:192.0.2.7 ip6:2001:db8::7 -all"],
    "fail.jp TXT": ["v=spf1 -all"],
    "soft.jp TXT": ["v=spf1 ~all"],
    "neutral.jp TXT": ["v=spf1 ?all"],
    "broken.jp TXT": ["v=spf1 everybody"],
    "nothing.jp TXT": ["some text"],
    "7.2.0.192.in-addr.arpa PTR": ["other.jp", "mail.example.jp", "Mail.Example.JP"],
    "192-0-2-7.list.jp A": ["127.0.0.2"],
}


@pytest.mark.parametrize(
    "terms, result",
    [
        ("a", Result.FAIL),
        ("a:mail.example.jp", Result.PASS),
        ("A:Mail.Example.jp.", Result.PASS),
        ("a:near.jp", Result.FAIL),
        ("a:near.jp/24", Result.PASS),
        ("a:near.jp/0", Result.PASS),
        ("a:none.jp", Result.FAIL),
        ("mx", Result.PASS),
        ("mx:mail.example.jp", Result.FAIL),
        ("mx/24", Result.PASS),
        ("include:pass.jp", Result.PASS),
        ("-include:pass.jp", Result.FAIL),
        ("include:fail.jp ?all", Result.NEUTRAL),
        ("include:soft.jp", Result.FAIL),
        ("include:neutral.jp", Result.FAIL),
        ("include:broken.jp", Result.PERMERROR),
        ("include:nothing.jp", Result.PERMERROR),
        ("include:none.jp", Result.PERMERROR),
        ("exists:mail.example.jp", Result.PASS),
        ("exists:none.jp", Result.FAIL),
        ("exists:%{i}.list.jp", Result.FAIL),
        ("exists:192-0-2-7.list.jp", Result.PASS),
        ("ptr", Result.PASS),
        ("ptr:other.jp", Result.FAIL),  # who has that name does not have this address
        ("ptr:ample.jp", Result.FAIL),
        ("a:bad..name.jp", Result.FAIL),  # well formed for SPF, and no name
    ],
)
def test_a_mechanism_asks(terms: str, result: Result) -> None:
    assert spf(f"v=spf1 {terms} -all", also=WORLD) is result


@pytest.mark.parametrize(
    "terms, result",
    [
        ("a:mail.example.jp", Result.PASS),
        ("a:near.jp/0", Result.FAIL),
        ("a:near.jp//48", Result.PASS),
        ("a:near.jp/32//0", Result.PASS),
        ("mx", Result.PASS),
        ("include:pass.jp", Result.PASS),
        ("ip6:2001:DB8::/32", Result.PASS),
        ("ip4:192.0.2.7", Result.FAIL),
        ("exists:%{i}.%{v}.jp", Result.PASS),
    ],
)
def test_an_address_of_the_sixth_version_is_looked_for_under_its_own_kind(terms: str, result: Result) -> None:
    nibbles = ".".join("20010db8" + "0" * 23 + "7")
    assert spf(f"v=spf1 {terms} -all", ip=V6, also={**WORLD, f"{nibbles}.ip6.jp A": ["127.0.0.2"]}) is result


def test_an_address_of_the_fourth_version_in_clothes_of_the_sixth_is_of_the_fourth() -> None:
    assert spf("v=spf1 ip4:192.0.2.7 -all", ip="::ffff:192.0.2.7") is Result.PASS


@pytest.mark.parametrize(
    "record, result",
    [
        ("v=spf1 redirect=pass.jp", Result.PASS),
        ("v=spf1 redirect=fail.jp", Result.FAIL),
        ("v=spf1 ?all redirect=pass.jp", Result.NEUTRAL),
        ("v=spf1 redirect=none.jp", Result.PERMERROR),
        ("v=spf1 redirect=nothing.jp", Result.PERMERROR),
        ("v=spf1 REDIRECT=%{d2}", Result.PERMERROR),  # to itself, again and again
    ],
)
def test_a_record_may_point_to_another(record: str, result: Result) -> None:
    assert spf(record, also=WORLD) is result


@pytest.mark.parametrize(
    "spec, name",
    [
        ("%{s}.x.jp", "taro-yuki@mail.example.jp.x.jp"),
        ("%{l}.x.jp", "taro-yuki.x.jp"),
        ("%{l1-}.x.jp", "yuki.x.jp"),
        ("%{lr-}.x.jp", "yuki.taro.x.jp"),
        ("%{o}", "mail.example.jp"),
        ("%{d}", "mail.example.jp"),
        ("%{d2}", "example.jp"),
        ("%{d9}", "mail.example.jp"),
        ("%{dr}.x.jp", "jp.example.mail.x.jp"),
        ("%{d1r}.x.jp", "mail.x.jp"),
        ("%{ir}.%{v}._spf.%{d2}", "7.2.0.192.in-addr._spf.example.jp"),
        ("%{h}.x.jp", "phone.example.jp.x.jp"),
        ("%{p}.x.jp", "unknown.x.jp"),
        ("%%a%_b.x.jp", "%a b.x.jp"),
        ("a%-b.x.jp", "a%20b.x.jp"),
        ("%{S}.x.jp", "taro-yuki%40mail.example.jp.x.jp"),
    ],
)
def test_macros_stand_for_what_is_known(spec: str, name: str) -> None:
    zone = Zone({"mail.example.jp TXT": [f"v=spf1 exists:{spec} -all"]})
    sender = Address("taro-yuki", "mail.example.jp")
    assert zone.found(check(ip=V4, sender=sender, helo="phone.example.jp")) is Result.FAIL
    assert zone.asked == ["mail.example.jp txt", f"{name} a"]


def test_a_name_that_grows_too_long_loses_labels_on_the_left() -> None:
    zone = Zone({"example.jp TXT": [f"v=spf1 exists:%{{l}}.{'b' * 60}.{'c' * 60}.{'d' * 60}.{'e' * 60}.jp -all"]})
    zone.found(check(ip=V4, sender=Address("xx.yyyyyy", "example.jp")))
    assert zone.asked[-1] == f"yyyyyy.{'b' * 60}.{'c' * 60}.{'d' * 60}.{'e' * 60}.jp a"


def test_a_name_too_long_for_the_dns_is_not_there() -> None:
    assert spf("v=spf1 exists:%{l}.jp -all", sender=Address("x" * 64, "example.jp")) is Result.FAIL


@pytest.mark.parametrize(
    "record, silent, result",
    [
        ("v=spf1 -all", "example.jp TXT", Result.TEMPERROR),
        ("v=spf1 a:dead.jp -all", "dead.jp A", Result.TEMPERROR),
        ("v=spf1 mx:dead.jp -all", "dead.jp MX", Result.TEMPERROR),
        ("v=spf1 include:dead.jp -all", "dead.jp TXT", Result.TEMPERROR),
        ("v=spf1 redirect=dead.jp", "dead.jp TXT", Result.TEMPERROR),
        ("v=spf1 all a:dead.jp", "dead.jp A", Result.PASS),  # decided before
        ("v=spf1 ptr -all", "7.2.0.192.in-addr.arpa PTR", Result.FAIL),  # section 5.5
    ],
)
def test_what_nobody_answers_is_a_temporary_error(record: str, silent: str, result: Result) -> None:
    assert spf(record, unknown=[silent]) is result


def test_only_a_domain_with_a_dot_is_asked() -> None:
    zone = Zone({})
    assert zone.found(check(ip=V4, sender=Address("taro", "localhost"))) is Result.NONE
    assert zone.asked == []


def test_ten_terms_may_ask() -> None:
    world = {**WORLD, **{f"{n}.jp TXT": ["v=spf1 ?all"] for n in range(20)}}
    asking = [f"include:{n}.jp" for n in range(MAX_ASKING)]
    assert spf(f"v=spf1 {' '.join(asking)} -all", also=world) is Result.FAIL
    assert spf(f"v=spf1 {' '.join(asking)} include:11.jp -all", also=world) is Result.PERMERROR
    assert spf(f"v=spf1 {' '.join(asking)} redirect=11.jp", also=world) is Result.PERMERROR


def test_two_questions_may_be_in_vain() -> None:
    assert spf("v=spf1 a:x.none.jp a:y.none.jp -all") is Result.FAIL
    assert spf("v=spf1 a:x.none.jp a:y.none.jp a:z.none.jp -all") is Result.PERMERROR


def test_ten_hosts_may_stand_behind_an_mx() -> None:
    def world(count: int) -> dict[str, list[str]]:
        hosts = {f"h{n}.example.jp A": ["198.51.100.1"] for n in range(count)}
        return {"example.jp MX": [f"h{n}.example.jp" for n in range(count)], **hosts}

    assert spf("v=spf1 mx -all", also=world(10)) is Result.FAIL
    assert spf("v=spf1 mx -all", also=world(11)) is Result.PERMERROR


def test_of_many_names_of_an_address_ten_are_looked_at() -> None:
    names = [f"h{n}.example.jp" for n in range(11)]
    world = {"7.2.0.192.in-addr.arpa PTR": names, **{f"{name} A": ["198.51.100.1"] for name in names[:10]}, f"{names[10]} A": [V4]}
    assert spf("v=spf1 ptr -all", also=world) is Result.FAIL
    assert spf("v=spf1 ptr -all", also={**world, "7.2.0.192.in-addr.arpa PTR": names[1:]}) is Result.PASS


TERM = st.sampled_from(["a", "mx", "ptr", "all", "include", "exists", "ip4", "ip6", "redirect", *":=/%{}.-~d2 ", "24", "x.jp", "r2"])


@given(st.lists(TERM, max_size=30).map("".join) | st.text(max_size=60))
def test_any_record_gives_a_result(terms: str) -> None:
    assert spf(f"v=spf1 {terms}", also=WORLD) in set(Result)


@pytest.mark.parametrize(
    "text", ["a", "a:", ".a", ".1", ".1-", "/a", "/", "%", "%{", "%{d", "%{i}", "%%", "x=%{c", "a:%{d}/", "ip4:", "1.", "+", "-all "]
)
def test_no_record_keeps_us_long(text: str, cpu_seconds: Callable[[Callable[[], object]], float]) -> None:
    repeated = text * (4_000 // len(text)) + "!"
    records = [f"v=spf1 {start}{repeated}" for start in ("", "a:", "a:.", "x=")]
    assert cpu_seconds(lambda: [spf(record) for record in records]) < 0.1

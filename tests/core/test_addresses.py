import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailgate.core.addresses import (
    NULL_PATH,
    Address,
    BadPath,
    NullPath,
    is_spec,
    parse_path,
    parse_recipient,
    parse_spec,
    writings,
)

LOCAL_CHARACTERS = "abcXYZ019!#$%&'*+/=?^_`{|}~.-"
LOCALS = st.text(LOCAL_CHARACTERS, min_size=1, max_size=64)
LABELS = st.from_regex(r"[a-z0-9](?:[a-z0-9-]{0,10}[a-z0-9])?", fullmatch=True)
DOMAINS = st.lists(LABELS, min_size=1, max_size=4).map(".".join)


def _parsed(text: str) -> Address:
    path = parse_path(text)
    assert isinstance(path, Address)
    return path


@pytest.mark.parametrize(
    "spec",
    [
        "a..b@docomo.ne.jp",
        ".a@docomo.ne.jp",
        "a.@ezweb.ne.jp",
        "a..@ezweb.ne.jp",
        "a...b..@docomo.ne.jp",
        "...@ezweb.ne.jp",
        "-a@ezweb.ne.jp",
        "_a__b--@ezweb.ne.jp",
        "a/b?c@docomo.ne.jp",
        "a&b@docomo.ne.jp",
        "a%b@docomo.ne.jp",
        "a+t@gmail.com",
        "Taro.Yamada@icloud.com",
        "root@localhost",
        "a@xn--r8jz45g.jp",
        "=?utf-8?q?a=0d=0aRCPT_TO=3Cv?=@x.jp",
        "x" * 64 + "@example.jp",
    ],
)
def test_what_phones_and_servers_really_send_is_read_byte_for_byte(spec: str) -> None:
    assert _parsed(f"<{spec}>").spec == spec
    assert parse_spec(spec).spec == spec


@pytest.mark.parametrize(
    "text",
    [
        "",
        "<",
        ">",
        "a@x.jp",
        "<a@x.jp",
        "a@x.jp>",
        " <a@x.jp>",
        "<a@x.jp> ",
        "<user>",
        "<a@>",
        "<@x.jp>",
        "<@>",
        "<a@@x.jp>",
        "<a@b@x.jp>",
        "<a@x.jp.>",
        "<a@.x.jp>",
        "<a@x..jp>",
        "<a@-x.jp>",
        "<a@x-.jp>",
        "<a@x_y.jp>",
        "<a@[>",
        "<a@[192.0.2.1]>",
        "<a[b@softbank.ne.jp>",
        "<a,b@x.jp>",
        "<a b@x.jp>",
        "<a\0b@x.jp>",
        "<a\rb@x.jp>",
        "<a\n@x.jp>",
        "<a@x.jp\n>",
        "<a@x.jp>\n",
        "<a\x7f@x.jp>",
        "<a\x80@x.jp>",
        "<ユーザ@例え.jp>",
        "<a@例え.jp>",
        "<ａ@x.jp>",
        '<">',
        '<"a>',
        '<"a@x.jp>',
        '<""@x.jp>',
        '<"a b"@x.jp>',
        '<"a\\"b"@x.jp>',
        '<"a\\\nb"@x.jp>',
        '<"a"b@x.jp>',
        '<"a@b"@x.jp>',
        "<(c)a@x.jp>",
        "<a(c)@x.jp>",
        "<<a@x.jp>>",
        "<@a.jp>",
        "<@a.jp,b.jp:c@x.jp>",
        "<@a_b.jp:c@x.jp>",
        "<@a.jp:>",
        "<=?utf-8?q?a=0d=0aRCPT_TO:=3Cv@y.jp=3E?=@x.jp>",
        "<" + "x" * 65 + "@example.jp>",
        "<a@" + "x" * 64 + ".jp>",
        "<" + "x" * 64 + "@" + "y." * 100 + "jp>",
        "<" + "@a.jp," * 200 + "@a.jp:c@x.jp>",
    ],
)
def test_what_is_no_path_is_refused_without_a_word_of_it(text: str) -> None:
    with pytest.raises(BadPath) as caught:
        parse_path(text)
    assert "x.jp" not in str(caught.value)
    assert caught.value.__cause__ is None


@pytest.mark.parametrize("text", ["<>", "<MAILER-DAEMON>", "<mailer-daemon>"])
def test_the_null_path_is_one_value_however_a_carrier_writes_it(text: str) -> None:
    assert parse_path(text) is NULL_PATH
    assert list(NullPath) == [NULL_PATH]


@pytest.mark.parametrize("text", ["", "<a@x.jp>", "MAILER-DAEMON", "@a.jp:c@x.jp", "a@" + "x" * 600])
def test_a_spec_has_no_brackets_no_route_and_is_never_null(text: str) -> None:
    with pytest.raises(BadPath):
        parse_spec(text)


@pytest.mark.parametrize("route", ["@a.jp:", "@a.jp,@b.jp:", "@localhost:"])
def test_a_source_route_is_accepted_and_ignored(route: str) -> None:
    assert _parsed(f"<{route}c..d@x.jp>") == Address("c..d", "x.jp")


def test_an_address_has_at_most_254_octets_and_a_path_512() -> None:
    domain = ".".join(["d" * 63, "d" * 63, "d" * 61])
    assert len(_parsed(f"<{'x' * 64}@{domain}>").spec) == 254
    assert parse_path("<" + "@a.jp," * 83 + "@a.jp:" + "c@x.jp" + ">") == Address("c", "x.jp")
    for text in (f"{'x' * 64}@{domain}d", '"' + "\\x" * 254 + '"@x.jp'):
        with pytest.raises(BadPath):
            parse_spec(text)


def test_a_route_through_us_is_still_a_foreign_mailbox() -> None:
    assert _parsed("<@gate.example.jp:victim@other.jp>").domain == "other.jp"


@pytest.mark.parametrize("quoted", ['"a..b"', '"a\\..b"', '"\\a..\\b"'])
def test_quoted_and_plain_forms_are_one_identity(quoted: str) -> None:
    assert _parsed(f"<{quoted}@docomo.ne.jp>") == _parsed("<a..b@docomo.ne.jp>")


@given(LOCALS, DOMAINS)
def test_a_parsed_address_re_parses_from_its_spec_to_itself(local: str, domain: str) -> None:
    address = parse_spec(f"{local}@{domain}")
    assert parse_spec(address.spec) == address == _parsed(f"<{address.spec}>")


@given(LOCALS, DOMAINS)
def test_quoting_any_local_part_changes_nothing(local: str, domain: str) -> None:
    assert _parsed(f'<"{local}"@{domain}>') == _parsed(f"<{local}@{domain}>")


@given(LOCALS, DOMAINS)
def test_case_is_kept_for_sending_and_ignored_for_lookup(local: str, domain: str) -> None:
    shouted = _parsed(f"<{local.upper()}@{domain.upper()}>")
    assert shouted.local == local.upper()
    assert shouted.domain == domain
    assert shouted.key == _parsed(f"<{local}@{domain}>").key == f"{local}@{domain}".lower()


@given(st.one_of(st.text(), st.text('<>@":\\,.ab \r\n\0').map("<{}>".format), st.text('"@a\\.').map('<"{}>'.format)))
def test_parsing_raises_nothing_but_bad_path_and_lets_no_control_character_pass(text: str) -> None:
    for parse in (parse_path, parse_spec):
        try:
            path = parse(text)
        except BadPath:
            continue
        if isinstance(path, Address):
            assert all(0x21 <= ord(character) <= 0x7E for character in path.spec)
            assert parse_spec(path.spec) == path


@pytest.mark.parametrize(
    "spec, rate_key",
    [
        ("Taro+school@Gmail.com", "taro@gmail.com"),
        ("taro+a+b@gmail.com", "taro@gmail.com"),
        ("taro@gmail.com", "taro@gmail.com"),
        ("+tag@gmail.com", "+tag@gmail.com"),
        ("a..b@docomo.ne.jp", "a..b@docomo.ne.jp"),
    ],
)
def test_only_the_rate_rules_fold_the_tag(spec: str, rate_key: str) -> None:
    assert parse_spec(spec).rate_key == rate_key
    assert parse_spec(spec).key == spec.lower()


def test_an_address_does_not_show_itself() -> None:
    address = Address("taro", "docomo.ne.jp")
    assert {repr(address), str(address), f"{address}", f"{(address,)}"} == {"Address(***)", "(Address(***),)"}


@pytest.mark.parametrize("text", ["<postmaster>", "<Postmaster>", "<POSTMASTER>"])
def test_postmaster_needs_no_domain_as_a_recipient(text: str) -> None:
    assert parse_recipient(text, domain="Gate.example.jp") == Address("postmaster", "gate.example.jp")
    with pytest.raises(BadPath):
        parse_path(text)


@pytest.mark.parametrize("text", ["<>", "<MAILER-DAEMON>", "<touroku>", "touroku@gate.example.jp"])
def test_a_recipient_is_never_null_and_has_a_domain(text: str) -> None:
    with pytest.raises(BadPath):
        parse_recipient(text, domain="gate.example.jp")


def test_any_other_recipient_is_read_as_a_path() -> None:
    assert parse_recipient("<Touroku@GATE.example.jp>", domain="gate.example.jp").key == "touroku@gate.example.jp"


def reads(text: str) -> bool:
    try:
        parse_spec(text)
    except BadPath:
        return False
    return True


@given(
    st.one_of(
        st.text(),
        st.text('<>@":\\,.ab \r\n\0'),
        st.builds("{}@{}".format, LOCALS, DOMAINS),
        st.builds('"{}"@{}'.format, LOCALS, DOMAINS),
        st.builds("{}@{}".format, LOCALS, st.text("ab.-", max_size=260)),
    )
)
def test_the_quick_look_sees_what_the_reader_reads(text: str) -> None:
    assert is_spec(text) is reads(text)


@pytest.mark.parametrize("domain", ["a" * 63 + "." + "b" * 63 + "." + "c" * 61, "a" * 63 + "." + "b" * 63 + "." + "c" * 62])
def test_the_quick_look_counts_as_the_reader_does(domain: str) -> None:
    spec = f"{'x' * 64}@{domain}"
    assert is_spec(spec) is reads(spec) is (len(spec) <= 254)


@pytest.mark.parametrize(
    "plain, quoted",
    [
        ("a..b@docomo.ne.jp", '"a..b"@docomo.ne.jp'),
        (".a@docomo.ne.jp", '".a"@docomo.ne.jp'),
        ("A.@Ezweb.ne.jp", '"A."@Ezweb.ne.jp'),
        (".@ezweb.ne.jp", '"."@ezweb.ne.jp'),
    ],
)
def test_odd_dots_are_written_in_two_ways(plain: str, quoted: str) -> None:
    assert writings(plain) == writings(quoted) == (plain, quoted)


@pytest.mark.parametrize("spec", ["a.b@docomo.ne.jp", "-a@ezweb.ne.jp", "a@ezweb.ne.jp", '"a.b"@docomo.ne.jp'])
def test_ordinary_dots_are_written_in_one(spec: str) -> None:
    assert writings(spec) is None

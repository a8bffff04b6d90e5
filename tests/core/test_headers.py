from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailgate.core.addresses import Address
from mailgate.core.headers import AMBIGUOUS, SCANNED, Ambiguous, author, decode_base64, decode_words, scan

MIB = 1 << 20
Timer = Callable[[Callable[[], object]], float]
SECONDS = 0.05


@pytest.mark.parametrize("end", [b"\r\n", b"\n", b"\r", b"\r\r\n"])
def test_headers_are_found_with_any_line_end(end: bytes) -> None:
    mail = end.join([b"From: a@x.jp", b"Subject: one", b"\ttwo", b"  three", b"X-Empty:", b"", b"body", b""])
    headers = scan(mail)
    assert headers.first("from") == "a@x.jp"
    assert headers.first("SUBJECT") == "one\ttwo  three"
    assert headers.first("x-empty") == ""
    assert headers.first("x-missing") is None
    assert mail[headers.body_at :] == b"body" + end


def test_all_values_come_uppermost_first() -> None:
    headers = scan(b"Received: 3\r\nreceived: 2\r\nRECEIVED : 1\r\n\r\n")
    assert headers.all("Received") == ("3", "2", "1")
    assert headers.all("Date") == ()


def test_a_prefix_is_found_whatever_its_case() -> None:
    headers = scan(b"Subject: x\r\nLIST-Unsubscribe: <x>\r\n\r\n")
    assert headers.has_prefix("List-")
    assert not headers.has_prefix("X-")


def test_64_kib_of_headers_are_read() -> None:
    assert scan(b"x: " + b"y" * 65_000 + b"\r\nb: 2\r\n\r\n").first("b") == "2"


@pytest.mark.parametrize(
    "mail, fields, body",
    [
        (b"", {}, b""),
        (b"\r\n", {}, b""),
        (b"\r\nbody", {}, b"body"),
        (b"just words\r\nFrom: a@x.jp\r\n", {}, b"just words\r\nFrom: a@x.jp\r\n"),
        (b" folded\r\n\r\nbody", {}, b" folded\r\n\r\nbody"),
        (b"\x93\x6f\x98\x5e: x\r\n", {}, b"\x93\x6f\x98\x5e: x\r\n"),
        (b": x\r\n", {}, b": x\r\n"),
        (b"a: 1\r\nno blank line\r\nb: 2\r\n", {"a": ("1",)}, b"no blank line\r\nb: 2\r\n"),
        (b"a: 1\r\nb: 2", {"a": ("1",), "b": ("2",)}, b""),
        (b"a: 1\r\n", {"a": ("1",)}, b""),
        (b"a: 1\r\n \r\nb: 2\r\n\r\nx", {"a": ("1",), "b": ("2",)}, b"x"),
        (b"From a@x.jp Mon Nov 24\na: 1\n\nx", {"a": ("1",)}, b"x"),
        (b"a: 1\nFrom a@x.jp\n\nx", {"a": ("1",)}, b"From a@x.jp\n\nx"),
        (b"a: \x93\x6f\0\xff\r\n\r\n", {"a": ("\x93\x6f\0\xff",)}, b""),
        (b"a: 1\r\rbody\r\n", {"a": ("1",)}, b"body\r\n"),
        (b"a: 1\n\r\nbody", {"a": ("1",)}, b"body"),
    ],
)
def test_what_no_grammar_allows_is_read_all_the_same(mail: bytes, fields: dict[str, tuple[str]], body: bytes) -> None:
    headers = scan(mail)
    assert headers.fields == fields
    assert mail[headers.body_at :] == body


def test_headers_beyond_the_limit_are_body() -> None:
    mail = b"a: 1\r\n" + b"x: " + b"y" * SCANNED + b"\r\nb: 2\r\n\r\nbody"
    headers = scan(mail)
    assert headers.first("a") == "1"
    assert headers.first("b") is None
    assert headers.body_at == SCANNED
    assert scan(b"a: 1\r\nb: 2\r\n\r\n", limit=6).fields == {"a": ("1",)}


@given(st.binary())
def test_scanning_never_raises(mail: bytes) -> None:
    headers = scan(mail)
    assert 0 <= headers.body_at <= len(mail)
    author(headers)


@given(st.lists(st.sampled_from([b"From", b":", b" ", b"\t", b"\r", b"\n", b"a@x.jp", b"<", b'"', b"(", b"\\", b"\0"])))
def test_scanning_never_raises_on_what_looks_like_headers(pieces: list[bytes]) -> None:
    headers = scan(b"From:" + b"".join(pieces))
    author(headers)
    decode_words(headers.first("from") or "")


@given(
    st.dictionaries(
        st.from_regex(r"[a-z][a-z0-9-]{0,10}", fullmatch=True),
        st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1),
    ),
    st.binary(),
)
def test_what_is_written_is_read_again(fields: dict[str, str], body: bytes) -> None:
    head = "".join(f"{name}: {value}\r\n" for name, value in fields.items()).encode()
    mail = head + b"\r\n" + body
    headers = scan(mail)
    assert {name: headers.all(name) for name in fields} == {name: (value,) for name, value in fields.items()}
    assert mail[headers.body_at :] == body


def test_headers_do_not_show_themselves() -> None:
    assert "taro" not in repr(scan(b"From: taro@docomo.ne.jp\r\n\r\n"))


@pytest.mark.parametrize(
    "mail",
    [
        pytest.param(b"Subject: " + b"=?utf-8?q?a?= " * 20_000, id="280 kB of encoded-words"),
        pytest.param(b"Subject: " + b"=?a?b?YQ==?= =?b?b?YQ==?=" * 11_000, id="encoded-words of two charsets"),
        pytest.param(b"Subject: " + b"=?x?q?" * 50_000, id="encoded-words that never end"),
        pytest.param(b"From: " + b"," * 210_000, id="210 kB of commas"),
        pytest.param(b"From: " + b"a@," * 70_000, id="commas with at-signs"),
        pytest.param(b"From: " + b"(" * 5_000, id="5000 brackets"),
        pytest.param(b"From: " + b'"\\' * 100_000, id="quotes"),
        pytest.param(b"From: " + b"<" * 100_000, id="angle brackets"),
        pytest.param(
            b"".join(b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (n, n) for n in range(2_000)),
            id="2000 multiparts deep",
        ),
        pytest.param(b"x" * MIB, id="one line of 1 MiB"),
        pytest.param(b"Subject: " + b"x" * MIB, id="one header of 1 MiB"),
        pytest.param(b"a:\n" * 300_000, id="300,000 headers"),
        pytest.param(b"a:" + b"\n " * 300_000, id="300,000 folds"),
        pytest.param(b"a:" + b"\r" * MIB, id="1 MiB of carriage returns"),
        pytest.param(b"a:x" + b"\r" * 60_000 + b"\n", id="60,000 carriage returns and a line feed"),
        pytest.param(b"a" + b" " * MIB, id="a name and 1 MiB of blanks"),
        pytest.param(b"\0" * MIB, id="1 MiB of NUL"),
        pytest.param(b"Subject: " + b"\x1b$B" * 100_000, id="shifts"),
    ],
)
def test_reading_headers_takes_no_time(mail: bytes, cpu_seconds: Timer) -> None:
    def work() -> None:
        headers = scan(mail)
        author(headers)
        decode_words(headers.first("subject") or "")

    assert cpu_seconds(work) < SECONDS


@pytest.mark.parametrize(
    "raw, text",
    [
        (b"plain", "plain"),
        (b"", ""),
        (b"=?UTF-8?B?55m76Yyy?=", "登録"),
        (b"=?utf-8?q?=E7=99=BB=e9=8c=b2_ok?=", "登録 ok"),
        (b"=?utf-8*ja?q?=E7=99=BB?=", "登"),
        (b"a =?utf-8?q?b?= c", "a b c"),
        (b"=?utf-8?q?a?= =?utf-8?q?b?=", "ab"),
        (b"=?utf-8?q?a?=\t =?iso-8859-1?q?b?=", "ab"),
        (b"=?utf-8?q?a?=x=?utf-8?q?b?=", "axb"),
        (b"=?utf-8?b?55m7?= and =?utf-8?b?6Yyy?=", "登 and 録"),
        (b"=?utf-8?b?55k=?= =?utf-8?b?u+mMsg==?=", "登録"),
        (b"=?UTF-8?b?55k=?= =?utf-8?b?u+mMsg==?=", "登録"),
        (b"=?shift_jis?b?h0A=?=", "①"),
        (b"=?ISO-2022-JP?B?GyRCLSEbKEI=?=", "①"),
        (b"=?iso-2022-jp?B?GyRCfGIbKEI=?= =?iso-2022-jp?B?GyRCRURDZhsoQg==?=", "髙田中"),
        (b"=?x-nonsense?b?55m76Yyy?=", "登録"),
        (b"=?utf-8?b?55m76Yyy", "=?utf-8?b?55m76Yyy"),
        (b"=?utf-8?b?55m7 6Yyy?=", "登録"),
        (b"=?utf-8?b?55m76YyyA?=", "登録"),
        (b"=?utf-8?b??=", ""),
        (b"=?utf-8?q?a b?=", "a b"),
        (b"=?utf-8?q?=zz=4?=", "=zz=4"),
        (b"=?utf-8?x?abc?=", "=?utf-8?x?abc?="),
        (b"=??q?abc?=", "=??q?abc?="),
        ("登録".encode(), "登録"),
        ("登録①".encode("cp932"), "登録①"),
        (b"\x1b$BEPO?\x1b(B", "登録"),
        ("登録 ".encode("cp932") + b"=?utf-8?q?=E7=99=BB?=", "登録 登"),
        (b"one\ttwo", "one two"),
        (b"=?utf-8?q?a=0d=0aBcc:=20v=00=7f?=", "a Bcc: v "),
        (b"=?utf-8?q?a=E2=80=A8b=C2=85c?=", "a b c"),
        (b"=?utf-7?q?+2AA-?=", "+2AA-"),
    ],
)
def test_a_field_is_decoded_whatever_was_sent(raw: bytes, text: str) -> None:
    assert decode_words(raw.decode("latin-1")) == text


def test_text_that_never_was_a_header_is_left_alone() -> None:
    assert decode_words("登録 =?utf-8?q?a?=") == "登録 a"
    assert decode_words("\ud800") == "?"


@given(st.text())
def test_decoding_never_raises_and_lets_no_control_character_pass(value: str) -> None:
    for text in (decode_words(value), decode_words(f"=?utf-8?q?{value}?="), decode_words(f"=?utf-16?b?{value}?=")):
        assert not any(character < " " or "\x7f" <= character <= "\x9f" for character in text)


@given(st.binary())
def test_base64_is_read_whatever_was_put_between(data: bytes) -> None:
    assert decode_base64(data) is not None


@pytest.mark.parametrize(
    "data, expected",
    [
        (b"", b""),
        (b"YWJj", b"abc"),
        (b"YWI=", b"ab"),
        (b"YWI", b"ab"),
        (b"YQ", b"a"),
        (b"YWJjZ", b"abc"),
        (b"YW\r\nJj!\xff", b"abc"),
        (b"YQ==YWJj", b"a"),
    ],
)
def test_base64_is_read_without_its_faults(data: bytes, expected: bytes) -> None:
    assert decode_base64(data) == expected


def _author(value: bytes) -> Address | Ambiguous | None:
    return author(scan(b"From: " + value + b"\r\n\r\n"))


@pytest.mark.parametrize(
    "value, spec",
    [
        (b"taro@docomo.ne.jp", "taro@docomo.ne.jp"),
        (b"<taro@docomo.ne.jp>", "taro@docomo.ne.jp"),
        (b"< taro@docomo.ne.jp >", "taro@docomo.ne.jp"),
        (b"Taro Yamada <Taro@Docomo.ne.jp>", "Taro@docomo.ne.jp"),
        (b"a..b.@docomo.ne.jp", "a..b.@docomo.ne.jp"),
        (b'"a..b"@docomo.ne.jp', "a..b@docomo.ne.jp"),
        (b'<"a..b"@docomo.ne.jp>', "a..b@docomo.ne.jp"),
        (b'"Yamada, Taro" <taro@docomo.ne.jp>', "taro@docomo.ne.jp"),
        (b"Yamada, Taro <taro@docomo.ne.jp>", "taro@docomo.ne.jp"),
        (b'"a\\"b <x@y.jp>," <taro@docomo.ne.jp>', "taro@docomo.ne.jp"),
        (b"victim@x.jp <taro@docomo.ne.jp>", "taro@docomo.ne.jp"),
        (b'"victim@x.jp" <taro@docomo.ne.jp>', "taro@docomo.ne.jp"),
        (b"taro@docomo.ne.jp (Taro (the, elder) <x@y.jp>)", "taro@docomo.ne.jp"),
        (b"(x) taro@docomo.ne.jp", "taro@docomo.ne.jp"),
        (b"=?utf-8?b?55m76Yyy?= <taro@docomo.ne.jp>", "taro@docomo.ne.jp"),
        (b"=?utf-8?q?a=40x.jp?= <taro@docomo.ne.jp>", "taro@docomo.ne.jp"),
        (b"=?utf-8?q?a,_(b?= <taro@docomo.ne.jp>", "taro@docomo.ne.jp"),
        (b"Taro\r\n\t<taro@docomo.ne.jp>", "taro@docomo.ne.jp"),
        (b",,, <taro@docomo.ne.jp>,", "taro@docomo.ne.jp"),
        (b"Taro <taro@docomo.ne.jp", "taro@docomo.ne.jp"),
        (b'"Taro <taro@docomo.ne.jp>', "taro@docomo.ne.jp"),
        (b"(Taro <taro@docomo.ne.jp>", "taro@docomo.ne.jp"),
        (b"(Taro <taro@docomo.ne.jp> x>", "taro@docomo.ne.jp"),
        (b'"\x95\x5c" <taro@docomo.ne.jp>', "taro@docomo.ne.jp"),  # Shift_JIS whose second byte is a backslash
        (b'\x1b$B"("<",\x1b(B <taro@docomo.ne.jp>', "taro@docomo.ne.jp"),  # JIS whose bytes are ( < ,
        ("山田 <taro@docomo.ne.jp>".encode(), "taro@docomo.ne.jp"),
        (b"a\\,b <taro@docomo.ne.jp>", "taro@docomo.ne.jp"),
    ],
)
def test_the_one_address_of_from_is_found(value: bytes, spec: str) -> None:
    found = _author(value)
    assert isinstance(found, Address)
    assert found.spec == spec


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"Taro",
        b"<>",
        b"<MAILER-DAEMON>",
        b"MAILER-DAEMON",
        b"a@x.jp, b@x.jp",
        b"a@x.jp, a@x.jp",
        b"A <a@x.jp>, B <b@x.jp>",
        b"<a@x.jp> <b@x.jp>",
        b"<a@x.jp> b@x.jp",
        b"undisclosed: ;",
        b"group: a@x.jp;",
        "山田@例え.jp".encode(),
        b"a@x.jp\0",
        b"=?utf-8?q?taro=40docomo.ne.jp?=",
        b"(taro@docomo.ne.jp)",
        b"<<<<",
        b"a@x_.jp, <b@y_.jp>",
        b"," * 60 + b"a@x.jp",
    ],
)
def test_two_addresses_or_none_that_can_be_read_are_ambiguous(value: bytes) -> None:
    assert _author(value) is AMBIGUOUS


def test_without_a_from_there_is_no_author() -> None:
    assert author(scan(b"Subject: x\r\n\r\nFrom: a@x.jp")) is None


def test_two_from_fields_are_ambiguous() -> None:
    assert author(scan(b"From: a@x.jp\r\nFrom: a@x.jp\r\n\r\n")) is AMBIGUOUS

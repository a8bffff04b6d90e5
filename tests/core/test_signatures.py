import base64
import hashlib
import re
from collections.abc import Callable
from dataclasses import replace
from itertools import product

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from mailgate.core.headers import SCANNED, scan
from mailgate.core.instants import HOUR, MINUTE, SECOND, Instant
from mailgate.core.signatures import MAX_SIGNATURES, Signature, key_in, signatures
from mailgate.smtp.proof import is_signed
from tests.signed import BLANK, a_key, key_record, public_octets, signed

NOW = Instant(1_800_000_000 * SECOND)


def _read(mail: bytes, *, organisation: str = "example.jp", now: Instant = NOW) -> tuple[Signature, ...]:
    return signatures(mail, from_value=scan(mail).first("from") or "", organisation=organisation, now=now)


GOOD = _read(signed())[0]
KEY = public_octets(a_key())


def _is_good(mail: bytes) -> bool:
    """Whether the one signature of a mail is read, and made by the key."""
    found = _read(mail)
    return len(found) == 1 and is_signed(found[0], public_octets(a_key()))


def _with(tag: str, mail: bytes | None = None, *, old: str = "v=1;") -> bytes:
    """A mail whose signature says something else."""
    mail = mail or signed()
    assert mail.count(old.encode(), 0, 400) == 1
    return mail.replace(old.encode(), tag.encode(), 1)


@pytest.mark.parametrize("how", ["/".join(pair) for pair in product(["simple", "relaxed"], repeat=2)])
@pytest.mark.parametrize(
    "mail",
    [
        BLANK,
        BLANK.partition(b"\r\n\r\n")[0] + b"\r\n\r\n",
        BLANK + b"no line end",
        BLANK.replace(b"hello", b"a\r\n\tfolded   and \x93\x6f\x98\x5e \r\n subject"),
        BLANK.replace(b"Subject: hello", b"SUBJECT:hello"),
        BLANK + b"x" * 100_000 + b"\r\n\t\r\n \r\n",
        BLANK.replace(b"\r\n\r\n", b"\r\nX-Other: not signed\r\n\r\n", 1),
    ],
)
def test_what_others_sign_is_good(mail: bytes, how: str) -> None:
    assert _is_good(signed(mail, how=how))


def test_a_signature_says_where_its_key_is() -> None:
    (found,) = _read(signed(domain="Mail.Example.JP", selector="S1"))
    assert (found.domain, found.key_name, found.algorithm) == ("mail.example.jp", "s1._domainkey.mail.example.jp", "rsa")
    assert found.is_for_domain
    assert "blank" not in repr(found)


@pytest.mark.parametrize(
    "change",
    [
        (b"hello", b"goodbye"),
        (b"taro@", b"jiro@"),
        (b"a  blank", b"another blank"),
        (b"Subject:", b"Subjekt:"),
        (b"\r\n\r\n", b"\r\nTo: somebody.else@example.jp\r\n\r\n"),
    ],
)
def test_a_mail_that_was_changed_is_not_good(change: tuple[bytes, bytes]) -> None:
    assert not _is_good(signed().replace(*change, 1))


def test_relaxed_lets_relays_fold_and_space_and_simple_does_not() -> None:
    def changed(mail: bytes) -> bytes:
        return mail.replace(b"Subject: hello", b"SUBJECT:\r\n\t hello ").replace(b"  a  blank", b" a blank")

    assert _is_good(changed(signed()))
    assert not _is_good(changed(signed(how="simple/relaxed")))
    assert not _is_good(changed(signed(how="relaxed/simple")))


def test_the_key_of_another_does_not_do() -> None:
    (found,) = _read(signed(key=a_key(2)))
    assert not is_signed(found, public_octets(a_key()))
    assert is_signed(found, public_octets(a_key(2)))


@pytest.mark.parametrize(
    "mail",
    [
        pytest.param(signed(whole=False), id="the body is signed in part"),
        pytest.param(signed().replace(b"h=from : ", b"h="), id="From is not signed"),
        pytest.param(b"From: jiro@example.jp\r\n" + signed(), id="a second From"),
        pytest.param(signed().replace(b"From: taro", b"X: y\r\n\r\nFrom: taro"), id="From in the body"),
        pytest.param(signed().partition(b"\r\n\r\n")[0], id="no end of the headers"),
        pytest.param(signed(BLANK.replace(b"Subject", b"X: " + b"y" * SCANNED + b"\r\nSubject")), id="headers without end"),
        pytest.param(b"no field\r\n" + signed(), id="a line that is no field"),
        pytest.param(b"X: a\rFrom: jiro@example.jp\r\n" + signed(), id="a From that only one of us sees"),
        pytest.param(signed(domain="other.jp"), id="another organisation"),
        pytest.param(signed(domain="anexample.jp"), id="a name that only ends alike"),
        pytest.param(_with("v=2;"), id="another version"),
        pytest.param(_with("", old="v=1; "), id="no version"),
        pytest.param(_with("v=1; v=1;"), id="a tag twice"),
        pytest.param(_with("v=1; x;"), id="a tag without a value"),
        pytest.param(_with("v=1; 1=x;"), id="a tag without a name"),
        pytest.param(_with("rsa-sha1", old="rsa-sha256"), id="an old hash"),
        pytest.param(_with("c=nofws", old="c=relaxed"), id="an unknown form"),
        pytest.param(_with("q=x/y", old="q=dns/txt"), id="a key from elsewhere"),
        pytest.param(_with("i=@other.jp", old="i=@example.jp"), id="for somebody else"),
        pytest.param(_with("s=a..b", old="s=s1"), id="no selector"),
        pytest.param(_with("h=" + ":".join(["from"] * 201) + ":", old="h=from : "), id="more names than anybody signs"),
        pytest.param(_with("v=1; x=0;"), id="over"),
        pytest.param(_with("v=1; x=tomorrow;"), id="over some time"),
        pytest.param(_with("v=1; x=\u0661;"), id="over in other digits"),
        pytest.param(_with("v=1; x=1234567890123;"), id="over in the year 41000"),
        pytest.param(re.sub(rb"bh=[^;]*", b"bh=!", signed()), id="no hash"),
    ],
)
def test_what_breaks_a_rule_is_no_signature(mail: bytes) -> None:
    assert _read(mail) == ()


def test_a_mail_without_from_has_no_signature() -> None:
    mail = signed().replace(b"From: taro@example.jp\r\n", b"")
    assert _read(mail) == ()


@pytest.mark.parametrize(
    "now, is_there",
    [
        (1_600_000_000 * SECOND, True),  # made tomorrow, by our clock
        (1_700_003_600 * SECOND, True),
        (1_700_003_600 * SECOND + 4 * MINUTE, True),
        (1_700_003_600 * SECOND + 6 * MINUTE, False),
    ],
)
def test_a_signature_is_over_some_time(now: int, is_there: bool) -> None:
    mail = re.sub(rb"t=\d+", b"t=1700000000; x=1700003600", signed())
    assert bool(_read(mail, now=Instant(now))) is is_there


def test_of_many_signatures_the_first_few_are_looked_at() -> None:
    good = signed().partition(b"From:")[0]
    bad = good.replace(b"v=1", b"v=2")
    assert len(_read(good * 3 + BLANK)) == 3
    assert len(_read(good * 10 + BLANK)) == MAX_SIGNATURES
    assert _read(bad * MAX_SIGNATURES + good + BLANK) == ()


def test_a_signature_of_another_kind_is_read() -> None:
    key = Ed25519PrivateKey.generate()
    body_hash = base64.b64encode(hashlib.sha256(b" a blank mail\r\n").digest()).decode()
    field = f"v=1; a=ed25519-sha256; c=relaxed/relaxed; d=example.jp; s=s1; h=from; bh={body_hash}; b="
    what = f"from:taro@example.jp\r\ndkim-signature:{field}".encode()
    value = base64.b64encode(key.sign(hashlib.sha256(what).digest())).decode()  # RFC 8463: the hash is what is signed
    (found,) = _read(f"DKIM-Signature: {field}{value}\r\n".encode() + BLANK)
    public = key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    assert found.algorithm == "ed25519"
    assert key_in(f"k=ed25519; p={base64.b64encode(public).decode()}", found) == public
    assert is_signed(found, public)
    assert not is_signed(replace(found, signed=found.signed + b"x"), public)
    assert not is_signed(found, public[:31])


@pytest.mark.parametrize("key", [b"", b"no key", KEY[:-1]])
def test_what_is_no_key_signs_nothing(key: bytes) -> None:
    assert not is_signed(GOOD, key)


def test_a_key_of_a_kind_that_the_signature_does_not_speak_of_signs_nothing() -> None:
    other = Ed25519PrivateKey.generate().public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    assert not is_signed(GOOD, other)


@pytest.mark.parametrize(
    "tags, is_key",
    [
        ("v=DKIM1; k=rsa;", True),
        ("", True),
        ("h=sha256;", True),
        ("h=sha1 : sha256; s=*;", True),
        ("s=email : other; n=a note;", True),
        ("t=s;", True),
        ("t=y:s;", True),
        ("v=DKIM2;", False),
        ("k=ed25519;", False),
        ("h=sha1;", False),
        ("s=tlsrpt;", False),
        ("p=;", False),
        ("x;", False),
    ],
)
def test_a_published_key_is_for_what_it_says(tags: str, is_key: bool) -> None:
    assert key_in(key_record(a_key(), tags=tags), GOOD) == (KEY if is_key else None)


@pytest.mark.parametrize("record", ["v=DKIM1; p=", "v=DKIM1", "", "v=DKIM1; p=!!!!", "v=DKIM1; p=A"])
def test_a_key_that_was_withdrawn_is_none(record: str) -> None:
    assert key_in(record, GOOD) is None


def test_a_key_may_be_for_the_domain_alone() -> None:
    (found,) = _read(_with("i=@sub.example.jp", old="i=@example.jp"))
    assert not found.is_for_domain
    assert key_in(key_record(a_key(), tags="t=s;"), found) is None
    assert key_in(key_record(a_key()), found) == KEY


@given(st.binary(max_size=200), st.sampled_from([b"", b"DKIM-Signature: v=1; a=rsa-sha256; d=example.jp; s=s; h=from; bh=; b=\r\n"]))
def test_any_mail_is_read(content: bytes, field: bytes) -> None:
    mail = field + content
    assert isinstance(_read(mail), tuple)
    assert isinstance(_read(mail + b"From: a@b.jp\r\n\r\n" + content, now=Instant(HOUR)), tuple)


MIB = 2**20
FIELD = signed().partition(b"From:")[0]


@pytest.mark.parametrize(
    "mail",
    [
        pytest.param(FIELD + BLANK + b" " * MIB + b"x", id="blanks"),
        pytest.param(FIELD + BLANK + b" \r\n" * (MIB // 3), id="empty lines"),
        pytest.param(FIELD + BLANK + b" x\t" * (MIB // 3), id="words"),
        pytest.param(FIELD.replace(b"h=from", b"h=" + b" " * 60_000 + b"from") + BLANK, id="blanks in a tag"),
        pytest.param(FIELD + b"X: y\r\n" + b" z\r\n" * 15_000 + BLANK, id="folds"),
        pytest.param(FIELD * 5 + b"X:\r\n" * 10_000 + BLANK + b" " * MIB, id="fields"),
        pytest.param(FIELD.replace(b"v=1;", b"v=1;" + b";" * 60_000) + BLANK, id="tags"),
        pytest.param(re.sub(rb"b=[^h;]*\Z", b"b=" + b"A" * 60_000 + b"\r\n", FIELD) + BLANK, id="a signature"),
    ],
)
def test_no_mail_keeps_us_long(mail: bytes, cpu_seconds: Callable[[Callable[[], object]], float]) -> None:
    assert cpu_seconds(lambda: _read(mail)) < 0.1

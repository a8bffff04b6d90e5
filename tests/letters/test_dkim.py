import re
from base64 import b64encode
from collections.abc import Iterator
from dataclasses import replace
from hashlib import sha256

import dkim as dkimpy  # type: ignore[import-untyped]  # it has no types
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from dkim.canonicalization import Relaxed  # type: ignore[import-untyped]  # it has no types
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mailgate.core.broadcast import Kind
from mailgate.core.letters import MAX_MAIL, ForOperator
from mailgate.core.lines import Lines, lines
from mailgate.letters.dkim import (
    BITS,
    BadKey,
    DnsRecord,
    SigningKey,
    dns_record,
    new_private_key,
    read_private_key,
    relaxed_body,
    relaxed_fields,
    sign,
)
from tests.letters.builders import BROADCAST, ENVELOPE, HOUSE, PREVIEW, SINGLE, a_writer, copied

WRITER = a_writer()


def a_key(selector: str, domain: str = HOUSE.domain) -> SigningKey:
    return SigningKey(private=read_private_key(new_private_key()), domain=domain, selector=selector)


KEY = a_key("s2026")
RECORD = dns_record(KEY)


def verifies(mail: bytes, *records: DnsRecord) -> bool:
    """What somebody else's program says to the topmost signature, with these records in the DNS."""
    txt = {record.name.encode() + b".": record.value.encode() for record in records or (RECORD,)}
    return bool(dkimpy.verify(mail, dnsfunc=lambda name, timeout: txt.get(name)))


def copy_of(kind: Kind = Kind.NOTICE, *, subject: str = BROADCAST.subject, text: str = BROADCAST.text) -> Lines:
    """A broadcast's copy with other words."""
    return copied(WRITER.prepare(replace(BROADCAST, kind=kind, subject=subject, text=text)))


def tags_of(mail: bytes) -> dict[str, str]:
    """The topmost signature, tag by tag, without blanks."""
    name, _, value = re.split(rb"\r\n(?![ \t])", mail)[0].partition(b":")
    assert name == b"DKIM-Signature"
    return dict(re.sub(r"\s", "", tag).split("=", 1) for tag in value.decode("ascii").split(";"))


HOSTILE = b"Subject: \t a\r\nX:\r\n\r\n two  blanks \t\r\n.\r\n..\r\n \r\n\t\r\n\r\n\r\n"
MAILS = {
    **{f"{letter.name} {getattr(letter, 'reason', '')}".strip(): WRITER.write(letter, ENVELOPE) for letter in SINGLE},
    **{f"broadcast {kind}": copy_of(kind) for kind in Kind},
    "broadcast to staff": copied(WRITER.prepare(BROADCAST), pupils=(), link=None),
    "plain recipient": WRITER.write(SINGLE[0], replace(ENVELOPE, recipient="taro@example.com")),
    **{
        f"dotted recipient {local}": WRITER.write(SINGLE[0], replace(ENVELOPE, recipient=f"{local}@docomo.ne.jp"))
        for local in ("a..b", ".a", "a.", "-a", "a/b?c")
    },
    "long subject": copy_of(subject="あすの臨時休業について" * 18),
    "long plain subject": copy_of(subject="a b" * 200),
    "no subject": copy_of(subject=""),
    "blanks in the subject": copy_of(subject="a  b   c"),
    "no text": copy_of(text=""),
    "long text": copy_of(text="あすは大雪のため休業とします。\n" * 1_000),
    "trailing blank lines": copy_of(text="あすは休業とします。\n\n\n\n"),
    "handed on with blanks and trailing blank lines": WRITER.write(ForOperator(HOSTILE), ENVELOPE),
    "handed on and empty": WRITER.write(ForOperator(b""), ENVELOPE),
    "a house with a long name": copied(a_writer(replace(HOUSE, name="潮見市立学校メール配信サービス" * 3)).prepare(BROADCAST)),
}
EVERY_MAIL = pytest.mark.parametrize("mail", MAILS.values(), ids=list(MAILS))
NOTICE = MAILS["broadcast notice"]
SIGNED_NOTICE = sign(NOTICE, KEY)


@EVERY_MAIL
def test_every_mail_we_send_verifies(mail: Lines) -> None:
    signed = sign(mail, KEY)
    assert verifies(signed)
    assert signed.endswith(b"\r\n" + mail)


@EVERY_MAIL
def test_a_signature_is_short_lines_of_ascii(mail: Lines) -> None:
    own = sign(mail, KEY).removesuffix(mail)
    assert own.startswith(b"DKIM-Signature: ")
    assert own.endswith(b"\r\n")
    first, *others = own.removesuffix(b"\r\n").split(b"\r\n")
    assert max(map(len, [first, *others])) <= 78
    assert all(line.startswith(b" ") and line.decode("ascii").isprintable() for line in others)


@pytest.mark.parametrize("name", [b"Reply-To", b"MIME-Version", b"Message-ID", b"List-Id", b"List-Unsubscribe-Post", b"Feedback-ID"])
@pytest.mark.parametrize("mail", [NOTICE, lines(b"From: a@example.jp\r\n\r\n")])
def test_its_lines_stay_short_however_much_is_signed(mail: Lines, name: bytes) -> None:
    for count in range(30):
        several = lines((name + b": a\r\n") * count + mail)
        assert max(map(len, sign(several, KEY).removesuffix(several).split(b"\r\n"))) <= 78


def test_the_same_mail_gets_the_same_signature_on_every_try() -> None:
    assert sign(NOTICE, KEY) == SIGNED_NOTICE
    assert {"t", "x", "l", "i"}.isdisjoint(tags_of(SIGNED_NOTICE))


def test_a_signature_says_who_signed_what_and_how() -> None:
    tags = tags_of(SIGNED_NOTICE)
    assert (tags["v"], tags["a"], tags["c"], tags["d"], tags["s"]) == ("1", "rsa-sha256", "relaxed/relaxed", "gate.example.jp", "s2026")
    assert tags["h"].split(":") == [
        "from", "from", "to", "to", "subject", "subject", "date", "date", "message-id", "reply-to",
        "mime-version", "content-type", "content-transfer-encoding",
        "auto-submitted", "list-id", "list-unsubscribe", "list-unsubscribe-post", "feedback-id",
    ]  # fmt: skip


@EVERY_MAIL
def test_what_is_there_is_signed_and_what_is_not_is_not_named(mail: Lines) -> None:
    there = relaxed_fields(mail.partition(b"\r\n\r\n")[0]).keys()
    named = {name.encode() for name in tags_of(sign(mail, KEY))["h"].split(":")}
    assert there - named <= {b"content-language", b"x-auto-response-suppress", b"importance", b"x-priority"}
    assert named <= there


@pytest.mark.parametrize("name", sorted(set(tags_of(SIGNED_NOTICE)["h"].split(":"))))
def test_a_changed_line_is_found(name: str) -> None:
    changed, count = re.subn(rf"(?im)^({name}:)(\s+)".encode(), rb"\1\2x", SIGNED_NOTICE)
    assert count == 1
    assert not verifies(changed)


@pytest.mark.parametrize("name", sorted(set(tags_of(SIGNED_NOTICE)["h"].split(":"))))
def test_a_line_taken_away_is_found(name: str) -> None:
    without, count = re.subn(rf"(?im)^{name}:.*\r\n([ \t].*\r\n)*".encode(), b"", SIGNED_NOTICE)
    assert count == 1
    assert not verifies(without)


@pytest.mark.parametrize("name", ["From", "To", "Subject", "Date", "SUBJECT", "date"])
@pytest.mark.parametrize("mail", [NOTICE, MAILS["invitation"]])
def test_a_second_one_of_what_people_read_is_found_wherever_it_stands(mail: Lines, name: str) -> None:
    added = f"{name}: x@example.com\r\n".encode()
    own = sign(mail, KEY).removesuffix(mail)
    head, _, body = mail.partition(b"\r\n\r\n")
    assert not verifies(added + own + mail)
    assert not verifies(own + added + mail)
    assert not verifies(own + head + b"\r\n" + added + b"\r\n" + body)


@pytest.mark.parametrize("name", ["From", "To", "Subject", "Date"])
def test_a_line_that_was_missing_cannot_be_given_later(name: str) -> None:
    without = re.sub(rf"(?m)^{name}:.*\r\n([ \t].*\r\n)*".encode(), b"", MAILS["invitation"])
    signed = sign(lines(without), KEY)
    assert name.lower() in tags_of(signed)["h"].split(":")
    assert name == "From" or verifies(signed)  # a mail without From is none (section 5.4): they do not even look
    assert not verifies(f"{name}: x@example.com\r\n".encode() + signed)


def test_of_several_lines_of_a_name_each_is_signed() -> None:
    two = b"Reply-To: a@example.jp\r\n" + NOTICE.replace(b"Subject:", b"Reply-To: b@example.jp\r\nReply-To: c@example.jp\r\nSubject:", 1)
    signed = sign(lines(two), KEY)
    assert tags_of(signed)["h"].split(":").count("reply-to") == 4
    assert verifies(signed)
    assert not verifies(signed.replace(b"a@example.jp", b"c@example.jp"))
    assert not verifies(signed.replace(b"Reply-To: b@example.jp\r\n", b""))


@pytest.mark.parametrize("mail", [NOTICE, MAILS["handed on with blanks and trailing blank lines"]])
def test_a_changed_body_is_found(mail: Lines) -> None:
    signed = sign(mail, KEY)
    at = signed.index(b"\r\n\r\n") + 10
    assert not verifies(signed[:at] + bytes([signed[at] ^ 1]) + signed[at + 1 :])
    assert not verifies(signed + b"more\r\n")
    assert not verifies(signed[: signed.rindex(b"\r\n", 0, -2) + 2])


def test_folds_blanks_and_case_may_change_on_the_way() -> None:
    """Relays do such things; that is what relaxed is for."""
    own = SIGNED_NOTICE.removesuffix(NOTICE)
    head, _, body = NOTICE.partition(b"\r\n\r\n")
    refolded = head.replace(b"Subject: ", b"SUBJECT:\r\n\t ").replace(b"Message-ID: ", b"Message-Id:   ") + b"  "
    unfolded = own.replace(b"\r\n ", b"  \t")
    assert verifies(unfolded + refolded + b"\r\n\r\n" + body.replace(b"\r\n", b" \t\r\n") + b"\r\n \r\n")


NASTY = ("=?utf-8?q?a?=", "\r\nBcc: v@example.jp", "  ", "\t", "あす", "😀", "\u2028", "\ud83d", ".")
WORDS = st.lists(st.one_of(st.sampled_from(NASTY), st.text(max_size=20)), max_size=12).map("".join)


@settings(max_examples=300, deadline=None)
@given(subject=WORDS, text=WORDS, names=st.lists(WORDS, max_size=3), kind=st.sampled_from(Kind))
@example(subject="", text="\n\n", names=[], kind=Kind.DRILL)
def test_whatever_is_written_verifies(subject: str, text: str, names: list[str], kind: Kind) -> None:
    prepared = WRITER.prepare(replace(BROADCAST, kind=kind, subject=subject, text=text))
    assert verifies(sign(copied(prepared, pupils=tuple(names)), KEY))


@settings(max_examples=300, deadline=None)
@given(st.lists(st.sampled_from([b"a", b" ", b"\t", b"\r\n", b".", b"  ", b"\r\n\r\n", b"Subject: x"]), max_size=30).map(b"".join))
def test_whatever_is_handed_on_verifies(content: bytes) -> None:
    assert verifies(sign(WRITER.write(ForOperator(content), ENVELOPE), KEY))


@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_no_octet_that_is_read_can_change_unnoticed(data: st.DataObject) -> None:
    body = NOTICE.partition(b"\r\n\r\n")[2]
    at = data.draw(st.sampled_from([found.start() for found in re.finditer(rb"\S", body)]))
    other = data.draw(st.sampled_from(b"ABCxyz019+/=").filter(lambda octet: octet != body[at]))
    assert not verifies(SIGNED_NOTICE.removesuffix(body) + body[:at] + bytes([other]) + body[at + 1 :])


def test_two_keys_stand_side_by_side_while_one_follows_the_other() -> None:
    old, new = KEY, a_key("s2027.b")
    under_way, fresh = sign(NOTICE, old), sign(NOTICE, new)
    both = (dns_record(old), dns_record(new))
    assert verifies(under_way, *both)
    assert verifies(fresh, *both)
    assert verifies(fresh, both[1])
    assert not verifies(under_way, both[1])
    assert not verifies(fresh, DnsRecord(both[1].name, both[0].value))


def test_the_signature_is_that_of_the_domain_it_names() -> None:
    assert not verifies(sign(NOTICE, replace(KEY, domain="other.example.jp")), RECORD)


@pytest.mark.parametrize(
    "domain, selector", [("a.jp", "a"), (f"{'a' * 60}." * 3 + "example.jp", "s" * 40), ("gate.example.jp", "x.y-z.1")]
)
def test_long_and_short_names_sign_as_well(domain: str, selector: str) -> None:
    key = replace(KEY, domain=domain, selector=selector)
    assert verifies(sign(NOTICE, key), dns_record(key))


# Sizes


def longest() -> Iterator[Lines]:
    """The longest mails that core.letters.fits lets through, and the longest that is handed on."""
    subject, text = "あ" * 200, "a" * 50_000
    prepared = WRITER.prepare(replace(BROADCAST, subject=subject, text=text))
    yield copied(prepared, pupils=("北 花子",) * 40)
    yield WRITER.write(replace(PREVIEW, subject=subject, text=text, cut="😀" * 9_000), ENVELOPE)
    yield WRITER.write(ForOperator(b"\xe3" * 200_000), ENVELOPE)


@pytest.mark.parametrize("mail", [*longest()], ids=["copy", "preview", "handed on"])
def test_the_longest_mails_stay_below_the_limit_with_their_signature(mail: Lines) -> None:
    signed = sign(mail, KEY)
    assert verifies(signed)
    assert len(signed) < MAX_MAIL


# Relaxed forms


def test_the_example_of_the_standard_is_relaxed_as_it_says() -> None:
    """RFC 6376 section 3.4.5, example 1."""
    assert relaxed_fields(b"A: X\r\nB : Y\t\r\n\tZ  ") == {b"a": [b"X"], b"b": [b"Y Z"]}
    assert relaxed_body(b" C \r\nD \t E\r\n\r\n\r\n") == b" C\r\nD E\r\n"


@pytest.mark.parametrize(
    "body, relaxed",
    [
        (b"", b""),
        (b"\r\n", b""),
        (b"\r\n\r\n\r\n", b""),
        (b" \r\n\t\r\n \t", b""),
        (b"a", b"a\r\n"),
        (b"a \t", b"a\r\n"),
        (b"a\r\n", b"a\r\n"),
        (b"a\r\n\r\n", b"a\r\n"),
        (b"a\r\n \r\n", b"a\r\n"),
        (b"\r\na", b"\r\na\r\n"),
        (b"\t\ta", b" a\r\n"),
        (b"a\r\n\r\nb\r\n", b"a\r\n\r\nb\r\n"),
        (b"a \r\nb\t \r\n", b"a\r\nb\r\n"),
    ],
)
def test_a_body_is_relaxed(body: bytes, relaxed: bytes) -> None:
    """RFC 6376 section 3.4.4: blanks first, then the empty lines at the end."""
    assert relaxed_body(body) == relaxed


def test_an_empty_body_has_the_hash_that_the_errata_name() -> None:
    """RFC 6376 section 3.4.4, last lines."""
    assert b64encode(sha256(relaxed_body(b"")).digest()) == b"47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="
    assert tags_of(sign(lines(b"From: a@example.jp\r\n\r\n"), KEY))["bh"] == "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="
    assert tags_of(sign(lines(b"From: a@example.jp\r\n"), KEY))["bh"] == "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="


LINES = st.lists(st.sampled_from([b"a", b"B", b" ", b"\t", b"\r\n", b".", b"\x0b", b"\xe3"]), max_size=25).map(b"".join)


@settings(max_examples=500)
@given(LINES)
def test_a_relaxed_body_is_relaxed_already_and_others_relax_it_the_same(body: bytes) -> None:
    assert relaxed_body(relaxed_body(body)) == relaxed_body(body)
    # Theirs leaves a last line that is not ended as it is: in a mail there is none.
    assert relaxed_body(body + b"\r\n") == Relaxed.canonicalize_body(body + b"\r\n") == relaxed_body(body)


VALUE = st.lists(st.sampled_from([b"a", b"B:", b" ", b"\t", b"\r\n ", b"\r\n\t", b"\xe3"]), max_size=12).map(b"".join)


@settings(max_examples=500)
@given(st.lists(VALUE, min_size=1, max_size=4))
def test_others_relax_lines_of_the_head_the_same(values: list[bytes]) -> None:
    head = b"\r\n".join(b"X-Name: " + value for value in values)
    theirs = Relaxed.canonicalize_headers([(b"X-Name", b" " + value + b"\r\n") for value in values])
    assert relaxed_fields(head) == {b"x-name": [value.removesuffix(b"\r\n") for _, value in theirs]}


@pytest.mark.parametrize("piece", [b" ", b"\r\n", b" \r\n", b"a \t", b"\t\r\n "])
def test_hostile_octets_cost_no_more_than_others(piece: bytes) -> None:
    """A megabyte: what grew with the square of it would not come to an end."""
    assert len(relaxed_body(piece * 500_000 + b"x")) <= len(piece) * 500_000 + 3
    assert len(relaxed_fields(b"Subject: " + (piece * 500_000).replace(b"\r\n", b""))) == 1


# Keys and their records


def test_a_record_is_published_in_strings_that_the_dns_can_carry() -> None:
    assert RECORD.name == "s2026._domainkey.gate.example.jp"
    assert RECORD.value.startswith("v=DKIM1; k=rsa; p=MII")
    assert [len(string) for string in RECORD.strings] == [255, len(RECORD.value) - 255]
    assert "".join(RECORD.strings) == RECORD.value
    assert DnsRecord("a", "x" * 255).strings == ("x" * 255,)


def test_a_new_key_is_one_of_its_own() -> None:
    pem = new_private_key()
    assert pem != new_private_key()
    assert read_private_key(pem).key_size == BITS == 2048


def pem_of(private: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey, password: bytes = b"") -> bytes:
    lock = serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
    return private.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, lock)


@pytest.mark.parametrize(
    "pem, why",
    [
        (b"", "no private key"),
        (b"AAAA\n", "no private key"),
        (b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", "no private key"),
        (pem_of(KEY.private, b"secret"), "locked with a password"),
        (pem_of(ed25519.Ed25519PrivateKey.generate()), "no RSA key"),
        (pem_of(ec.generate_private_key(ec.SECP256R1())), "no RSA key"),
        (pem_of(rsa.generate_private_key(65537, 1024)), "1024 bits"),
        (
            KEY.private.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo),
            "no private key",
        ),
    ],
    ids=["empty", "a key of another kind of file", "damaged", "locked", "ed25519", "ec", "short", "public"],
)
def test_what_is_no_key_to_sign_with_says_why(pem: bytes, why: str) -> None:
    with pytest.raises(BadKey, match=why):
        read_private_key(pem)


def test_a_longer_key_signs_as_well() -> None:
    key = replace(KEY, private=read_private_key(pem_of(rsa.generate_private_key(65537, 3072))))
    assert verifies(sign(NOTICE, key), dns_record(key))


def test_a_key_does_not_show_itself() -> None:
    assert repr(KEY) == "SigningKey(domain='gate.example.jp', selector='s2026')"

import random

import pytest
from structlog.testing import capture_logs

from mailgate.core.addresses import NULL_PATH, Address
from mailgate.smtp.envelope import read_recipient, read_sender
from mailgate.smtp.listener import Limits
from tests.wire.listener_tools import BOX, DOMAIN, RecordingDoor, a_gate

PATIENT = Limits(commands=10_000_000, errors=10_000_000)

REAL_PEOPLE = [
    "a..b@docomo.ne.jp",
    ".a@docomo.ne.jp",
    "a.@ezweb.ne.jp",
    "a..@ezweb.ne.jp",
    "a...b..@docomo.ne.jp",
    "-a@ezweb.ne.jp",
    "_a__b--@docomo.ne.jp",
    "a/b?c@docomo.ne.jp",
    "a+otouto@docomo.ne.jp",
    "Hahaoya.Hanako@docomo.ne.jp",
    "=?utf-8?q?a=0d=0ab=00?=@x.example.jp",  # an encoded-word is letters like any other and is not decoded
]

# (as written, local part, domain)
SPELLINGS = [
    ('<"a..b"@docomo.ne.jp>', "a..b", "docomo.ne.jp"),
    ('<"a."@ezweb.ne.jp>', "a.", "ezweb.ne.jp"),
    (r'<"a\.b"@ezweb.ne.jp>', "a.b", "ezweb.ne.jp"),
    ("<a@DOCOMO.NE.JP>", "a", "docomo.ne.jp"),
    ("<@relay.example.jp:a@docomo.ne.jp>", "a", "docomo.ne.jp"),
]

NO_PATHS = [
    b"",
    b"a@docomo.ne.jp",
    b"<a@docomo.ne.jp",
    b"a@docomo.ne.jp>",
    b"<<a@docomo.ne.jp>>",
    b"<a@docomo.ne.jp>x",
    b"<a@docomo.ne.jp>\x00",
    b"<a>",
    b"<a@>",
    b"<@docomo.ne.jp>",
    b"<a@[>",
    b"<a@[192.0.2.1]>",
    b"<a[b@softbank.ne.jp>",
    b"<a,b@docomo.ne.jp>",
    b"<a b@docomo.ne.jp>",
    b"<a@b@docomo.ne.jp>",
    b'<">',
    b'<"a>',
    b'<"a@docomo.ne.jp>',
    b'<"a b"@docomo.ne.jp>',
    b'<"a@b"@docomo.ne.jp>',
    b"<a\x00b@docomo.ne.jp>",
    b"<a\rb@docomo.ne.jp>",
    b"<a\tb@docomo.ne.jp>",
    b"<a\x7fb@docomo.ne.jp>",
    "<ユーザ@例え.jp>".encode(),
    b"<\x82\xa0@docomo.ne.jp>",
    b"<user@docomo.ne.jp.>",
    b"<user@@docomo.ne.jp>",
    b"<" + b"a" * 65 + b"@docomo.ne.jp>",
    b"<" + b"a" * 1_500 + b"@docomo.ne.jp>",
    b"=?utf-8?q?=3Ca@docomo.ne.jp=3E?=",
    b"<=?utf-8?q?a=0d=0aRCPT_TO:=3Cv@y.example.jp=3E?=@x.example.jp>",
]

# The twenty classic ways to ask a host to carry mail to somebody else (MR-10).
RELAYING = [
    "<nobody@relay.test>",
    "<@gate.example.jp:nobody@relay.test>",
    "<@gate.example.jp,@other.test:nobody@relay.test>",
    "<@relay.test:nobody@relay.test>",
    '<"nobody"@relay.test>',
    "<nobody%other@relay.test>",
    "<relay.test!nobody@other.test>",
    "<touroku@relay.test>",
    "<touroku@sub.gate.example.jp>",
    "<touroku@gate.example.jp.relay.test>",
    "<touroku@example.jp>",
    "<nobody%relay.test@gate.example.jp>",
    "<nobody%gate.example.jp@relay.test>",
    "<relay.test!nobody@gate.example.jp>",
    "<nobody@relay.test@gate.example.jp>",
    '<"nobody@relay.test"@gate.example.jp>',
    '<"nobody%relay.test"@gate.example.jp>',
    "<nobody@relay.test%gate.example.jp>",
    "<gate.example.jp!touroku@relay.test>",
    "<touroku@[127.0.0.1]>",
]
FOREIGN = {*RELAYING[:11], RELAYING[12], RELAYING[18]}


@pytest.mark.parametrize("spec", REAL_PEOPLE)
async def test_a_real_mailbox_is_kept_octet_for_octet(spec: str) -> None:
    async with a_gate() as gate:
        peer = await (await gate.greet()).at_data(sender=spec)
        peer.send(b".\r\n")
        assert (await peer.reply()).startswith("250 2.0.0")
        (mail,) = gate.door.mails
        assert isinstance(mail.sender, Address)
        assert mail.sender.spec == spec


@pytest.mark.parametrize("written, local, domain", SPELLINGS)
async def test_spellings_of_one_mailbox_are_one(written: str, local: str, domain: str) -> None:
    async with a_gate() as gate:
        peer = await gate.greet()
        assert (await peer.say(f"MAIL FROM:{written} SIZE=10")).startswith("250 2.1.0")
        assert (await peer.say(f"RCPT TO:<{BOX}>")).startswith("250 2.1.5")
        await peer.say("DATA")
        await peer.say(".")
        assert gate.door.mails[0].sender == Address(local, domain)


@pytest.mark.parametrize("written", ["<>", "<MAILER-DAEMON>"])
async def test_the_null_path_is_one_value(written: str) -> None:
    async with a_gate() as gate:
        peer = await gate.greet()
        assert (await peer.say(f"MAIL FROM:{written}")).startswith("250 2.1.0")
        assert (await peer.say(f"RCPT TO:<{BOX}>")).startswith("250 2.1.5")
        assert (await peer.say("DATA")).startswith("354 ")
        assert (await peer.say(".")).startswith("250 2.0.0")
        assert gate.door.mails[0].sender is NULL_PATH


@pytest.mark.parametrize("path", NO_PATHS)
async def test_what_is_no_path_is_refused_in_mail_and_in_rcpt(path: bytes) -> None:
    async with a_gate(limits=PATIENT) as gate:
        peer = await gate.greet()
        assert (await peer.say(b"MAIL FROM:" + path)).startswith("553 5.1.3")
        assert (await peer.say("MAIL FROM:<a@docomo.ne.jp>")).startswith("250 2.1.0")
        assert (await peer.say(b"RCPT TO:" + path)).startswith("553 5.1.3")
        assert (await peer.say("DATA")).startswith("503 5.5.1")


async def test_a_recipient_is_never_null() -> None:
    async with a_gate() as gate:
        peer = await gate.greet()
        await peer.say("MAIL FROM:<a@docomo.ne.jp>")
        assert (await peer.say("RCPT TO:<>")).startswith("553 5.1.3")


@pytest.mark.parametrize("written", ["<postmaster>", "<PostMaster>", f"<postmaster@{DOMAIN}>", f"<abuse@{DOMAIN}>"])
async def test_the_people_who_run_the_gate_can_be_written_to(written: str) -> None:
    async with a_gate() as gate:
        peer = await gate.greet()
        await peer.say("MAIL FROM:<>")
        assert (await peer.say(f"RCPT TO:{written}")).startswith("250 2.1.5")


@pytest.mark.parametrize("written", RELAYING)
async def test_nothing_is_relayed(written: str) -> None:
    async with a_gate() as gate:
        peer = await gate.greet()
        await peer.say("MAIL FROM:<a@docomo.ne.jp>")
        reply = await peer.say(f"RCPT TO:{written}")
        expected = "550 5.7.1" if written in FOREIGN else ("550 5.1.1", "553 5.1.3")
        assert reply.startswith(expected)
        assert (await peer.say("DATA")).startswith("503 5.5.1")


async def test_an_unknown_box_is_refused_before_the_mail_is_sent() -> None:
    async with a_gate() as gate:
        peer = await gate.greet()
        await peer.say("MAIL FROM:<a@docomo.ne.jp>")
        assert await peer.say(f"RCPT TO:<nobody@{DOMAIN}>") == "550 5.1.1 No such box here"
        assert (await peer.say(f"RCPT TO:<{BOX}>")).startswith("250 2.1.5")


async def test_a_recipient_named_twice_is_one() -> None:
    async with a_gate() as gate:
        peer = await gate.greet()
        await peer.say("MAIL FROM:<a@docomo.ne.jp>")
        for written in (BOX, BOX, f"postmaster@{DOMAIN}"):
            assert (await peer.say(f"RCPT TO:<{written}>")).startswith("250 2.1.5")
        await peer.say("DATA")
        await peer.say(".")
        assert gate.door.mails[0].recipients == (Address("touroku", DOMAIN), Address("postmaster", DOMAIN))


ALPHABET = '<<>>@@"\\..,:;[]()!%=?+- \t\r\n\x00\x7f\udc82aZ09ü'


def test_a_hundred_thousand_random_paths_raise_nothing_and_bring_no_control_character() -> None:
    dice = random.Random(20_260_401)
    read = 0
    for _ in range(100_000):
        argument = "<" + "".join(dice.choices(ALPHABET, k=dice.randrange(12))) + dice.choice([">", "@a.jp>", ""])
        for path, _rest in (read_sender(argument), read_recipient(argument, domain=DOMAIN)):
            read += path is not None
            assert path is None or all(0x21 <= ord(letter) <= 0x7E for letter in path)
    assert read > 1_000


async def test_no_path_at_all_makes_the_gate_stumble() -> None:
    """Each random path gets a code for what it is, never 451: that would be an exception of ours."""
    dice = random.Random(20_260_402)
    with capture_logs() as logs:
        async with a_gate(RecordingDoor(), PATIENT) as gate:
            peer = await gate.greet()
            for _ in range(1_000):
                path = "".join(dice.choices(ALPHABET.replace("\n", ""), k=dice.randrange(40)))
                reply = await peer.say(f"MAIL FROM:<{path}>".encode("utf-8", "surrogateescape"))
                assert reply.startswith(("250 2.1.0", "553 5.1.3", "501 5.5.4", "555 5.5.4")), path
                await peer.say("RSET")
    assert logs == []

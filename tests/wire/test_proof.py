import asyncio
from ipaddress import ip_network

import dns.asyncresolver
import dns.nameserver
import pytest

from mailgate.core.addresses import parse_path, parse_spec
from mailgate.core.authentication import Proof, Reach, Verdict
from mailgate.core.headers import scan
from mailgate.core.inbound import Inbound
from mailgate.core.instants import SECOND, Instant
from mailgate.core.lookups import Answer, Question
from mailgate.smtp.names import Names, NameServers, Nobody
from mailgate.smtp.proof import NetworkProver
from tests.fakes import FakeClock
from tests.signed import BLANK, a_key, key_record, signed
from tests.wire.nameserver import a_name_server
from tests.zones import InZone, Zone

RELAY, OWN, OTHER = "192.0.2.1", "198.51.100.7", "203.0.113.9"  # our relay; where example.jp sends from; somewhere else
RECEIVED = f"Received: from phone.example ([{OWN}]) by mx.city.jp with ESMTP; date\r\n".encode()
NOW = Instant(1_800_000_000 * SECOND)
ZONE = {
    "example.jp MX": ["mx.example.jp"],
    "example.jp TXT": [f"v=spf1 ip4:{OWN} -all"],
    "_dmarc.example.jp TXT": ["v=DMARC1; p=none"],
    "mail.example.jp TXT": [f"v=spf1 ip4:{OWN} -all"],
    "s1._domainkey.example.jp TXT": [key_record(a_key())],
    "s1._domainkey.mail.example.jp TXT": [key_record(a_key())],
    "strict.jp TXT": ["v=spf1 -all"],
    "mail.strict.jp TXT": [f"v=spf1 ip4:{OWN} -all"],
    "_dmarc.strict.jp TXT": ["v=DMARC1; p=reject; adkim=s; aspf=s"],
    "s1._domainkey.mail.strict.jp TXT": [key_record(a_key())],
    "s1._domainkey.strict.jp TXT": [key_record(a_key())],
    "plain.jp MX": ["mx.plain.jp"],
    "plain.jp TXT": ["v=spf1 -all"],
    "s1._domainkey.plain.jp TXT": [key_record(a_key())],
    "null.jp MX": ["."],
    "host.jp A": ["198.51.100.3"],
}


class Never:
    """Names whom one waits for in vain."""

    async def ask(self, question: Question) -> Answer:
        waiting: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        return await waiting


async def prove(
    content: bytes,
    *,
    sender: str = "taro@example.jp",
    to: str | None = None,
    peer: str = OWN,
    names: Names | None = None,
    budget_s: float = 4.0,
) -> Proof:
    mail = Inbound(
        sender=parse_path(f"<{sender}>"), recipients=(), peer=peer, received_at=NOW, content=content
    )
    prover = NetworkProver(
        names or InZone(Zone(ZONE)), relays=[ip_network(RELAY)], authserv_id="", budget_s=budget_s
    )
    return await prover.prove(mail, scan(content), to=parse_spec(to or sender or "x@example.jp"))


def _from(author: str) -> bytes:
    return BLANK.replace(b"taro@example.jp", author.encode())


SIGNED = signed()


@pytest.mark.parametrize(
    "content, sender, peer, verdict",
    [
        pytest.param(BLANK, "taro@example.jp", OWN, Verdict.PASS, id="from its own network"),
        pytest.param(BLANK, "taro@example.jp", OTHER, Verdict.FAIL, id="forged"),
        pytest.param(SIGNED, "taro@example.jp", OTHER, Verdict.PASS, id="forwarded: the signature alone"),
        pytest.param(SIGNED.replace(b"hello", b"hallo"), "taro@example.jp", OTHER, Verdict.FAIL, id="changed on the way"),
        pytest.param(SIGNED.replace(b"hello", b"hallo"), "taro@example.jp", OWN, Verdict.PASS, id="changed, and from its own network"),
        pytest.param(signed(key=a_key(2)), "taro@example.jp", OTHER, Verdict.FAIL, id="signed by somebody else"),
        pytest.param(signed(selector="s9"), "taro@example.jp", OTHER, Verdict.FAIL, id="signed by nobody that is published"),
        pytest.param(signed(domain="mail.example.jp"), "taro@example.jp", OTHER, Verdict.PASS, id="signed by a part of it"),
        pytest.param(signed(domain="plain.jp"), "taro@example.jp", OTHER, Verdict.FAIL, id="well signed by another"),
        pytest.param(signed(domain="plain.jp"), "taro@example.jp", OWN, Verdict.PASS, id="well signed by another, from its own network"),
        pytest.param(b"\r\n", "taro@example.jp", OWN, Verdict.PASS, id="a phone's mail without a From"),
        pytest.param(b"\r\n", "taro@example.jp", OTHER, Verdict.FAIL, id="a forged one"),
        pytest.param(_from("taro@mail.example.jp"), "taro@mail.example.jp", OWN, Verdict.PASS, id="a part of it, by the policy above"),
        pytest.param(_from("taro@mail.example.jp"), "taro@mail.example.jp", OTHER, Verdict.FAIL, id="a forged part"),
        pytest.param(_from("taro@plain.jp"), "taro@plain.jp", OTHER, Verdict.NONE, id="a domain that does not take part"),
        pytest.param(_from("taro@strict.jp"), "b=1=taro@mail.strict.jp", OWN, Verdict.FAIL, id="strict: a part is another"),
        pytest.param(signed(_from("taro@strict.jp"), domain="mail.strict.jp"), "taro@strict.jp", OTHER, Verdict.FAIL, id="strict: so too"),
        pytest.param(signed(_from("taro@strict.jp"), domain="strict.jp"), "taro@strict.jp", OTHER, Verdict.PASS, id="strict: itself"),
    ],
)  # fmt: skip
async def test_the_author_is_proven_by_spf_or_by_dkim(content: bytes, sender: str, peer: str, verdict: Verdict) -> None:
    assert (await prove(content, sender=sender, peer=peer)).verdict is verdict


@pytest.mark.parametrize(
    "silent, peer, verdict",
    [
        (["_dmarc.example.jp TXT"], OTHER, Verdict.UNKNOWN),
        (["_dmarc.jp TXT"], OTHER, Verdict.UNKNOWN),
        (["example.jp TXT"], OTHER, Verdict.UNKNOWN),
        (["s1._domainkey.example.jp TXT"], OTHER, Verdict.UNKNOWN),
        (["s1._domainkey.example.jp TXT"], OWN, Verdict.PASS),
        (["_dmarc.example.jp TXT"], OWN, Verdict.PASS),  # whatever it publishes
    ],
)
async def test_a_missing_answer_makes_nobody_a_forger(silent: list[str], peer: str, verdict: Verdict) -> None:
    content = SIGNED.replace(b"hello", b"hallo") if "domainkey" not in silent[0] else SIGNED
    assert (await prove(content, peer=peer, names=InZone(Zone(ZONE, unknown=silent)))).verdict is verdict


async def test_a_signature_by_a_part_of_which_nothing_is_known_proves_nothing() -> None:
    zone = Zone(ZONE, unknown=["_dmarc.mail.example.jp TXT"])
    found = await prove(signed(domain="mail.example.jp"), peer=OTHER, names=InZone(zone))
    assert found.verdict is Verdict.UNKNOWN


@pytest.mark.parametrize("peer", [OWN, OTHER, RELAY, "127.0.0.1"])
async def test_without_a_name_server_nothing_is_known(peer: str) -> None:
    found = await prove(BLANK, peer=peer, names=Nobody())
    assert (found.verdict, found.reach) == (Verdict.UNKNOWN, Reach.UNKNOWN)


async def test_a_name_server_that_says_nothing_is_waited_for_a_while() -> None:
    async with asyncio.timeout(5):
        found = await prove(SIGNED, names=Never(), budget_s=0.05)
    assert (found.verdict, found.reach, found.client) == (Verdict.UNKNOWN, Reach.UNKNOWN, OWN)


def _relayed(results: str, content: bytes = BLANK) -> bytes:
    return RECEIVED + f"Authentication-Results: mx.city.jp; {results}\r\n".encode() + content


@pytest.mark.parametrize(
    "results, verdict",
    [
        ("dmarc=pass header.from=example.jp", Verdict.PASS),
        ("dmarc=fail header.from=example.jp", Verdict.FAIL),
        ("dmarc=none", Verdict.NONE),
        ("dmarc=temperror", Verdict.UNKNOWN),
        ("dmarc=pass header.from=other.jp; spf=fail; dkim=none", Verdict.FAIL),  # about another From
        ("spf=pass smtp.mailfrom=taro@example.jp; dkim=none", Verdict.PASS),
        ("spf=pass smtp.mailfrom=taro@mail.example.jp; dkim=none", Verdict.PASS),
        ("spf=pass; dkim=none", Verdict.PASS),
        ("spf=pass smtp.mailfrom=plain.jp; dkim=none", Verdict.FAIL),
        ("spf=fail smtp.mailfrom=example.jp; dkim=none", Verdict.FAIL),
        ("spf=temperror; dkim=none", Verdict.UNKNOWN),
        ("spf=fail; dkim=temperror", Verdict.UNKNOWN),
        ("spf=fail; dkim=pass header.d=example.jp", Verdict.PASS),
        ("spf=fail; dkim=pass header.d=plain.jp; dkim=pass header.i=@mail.example.jp", Verdict.PASS),
        ("spf=fail; dkim=pass header.d=plain.jp", Verdict.FAIL),
        ("dkim=none", Verdict.PASS),  # SPF by ourselves, for the client that the relay saw
        ("spf=fail", Verdict.FAIL),
        ("none", Verdict.PASS),
    ],
)
async def test_what_a_relay_of_ours_says_is_believed(results: str, verdict: Verdict) -> None:
    found = await prove(_relayed(results), peer=RELAY)
    assert (found.verdict, found.client) == (verdict, OWN)


@pytest.mark.parametrize("results", ["dmarc=pass", "dmarc=fail", "dmarc=none"])
async def test_what_a_relay_of_ours_says_needs_no_name_server(results: str) -> None:
    zone = Zone({})
    found = await prove(_relayed(results), peer=RELAY, names=InZone(zone))
    assert found.is_aligned
    assert zone.asked == ["example.jp mx"]


async def test_a_relay_that_does_not_look_at_signatures_has_us_look() -> None:
    content = RECEIVED.replace(OWN.encode(), OTHER.encode()) + SIGNED
    assert (await prove(content, peer=RELAY)).verdict is Verdict.PASS
    assert (await prove(content.replace(b"hello", b"hallo"), peer=RELAY)).verdict is Verdict.FAIL


async def test_nobody_else_is_believed() -> None:
    assert (await prove(_relayed("dmarc=pass"), peer=OTHER)).verdict is Verdict.FAIL
    assert (await prove(_relayed("dmarc=fail"), peer=OWN)).verdict is Verdict.PASS
    relays = RECEIVED.replace(OWN.encode(), OTHER.encode()) + b"Authentication-Results: mx.city.jp; dmarc=fail\r\n"
    assert (await prove(relays + _relayed("dmarc=pass"), peer=RELAY)).verdict is Verdict.FAIL


async def test_a_relay_that_hides_the_client_leaves_spf_unknown() -> None:
    hidden = b"Received: from phone.example by mx.city.jp; date\r\n"
    assert (await prove(hidden + BLANK, peer=RELAY)).verdict is Verdict.UNKNOWN
    assert (await prove(hidden + SIGNED, peer=RELAY)).verdict is Verdict.PASS


async def test_a_relay_that_nobody_told_us_of_does_no_harm() -> None:
    assert (await prove(RECEIVED + BLANK, peer="127.0.0.1")).verdict is Verdict.UNKNOWN
    assert (await prove(BLANK, peer="127.0.0.1")).verdict is Verdict.FAIL


@pytest.mark.parametrize(
    "sender, author, is_aligned, verdict",
    [
        ("prvs=1234=taro@example.jp", "taro@example.jp", True, Verdict.PASS),
        ("bounces+taro=example.jp@mail.example.jp", "taro@example.jp", True, Verdict.PASS),
        ("SRS0=a=b=example.jp=taro@plain.jp", "taro@example.jp", False, Verdict.FAIL),
        ("bounce-1@mail.plain.jp", "taro@plain.jp", False, Verdict.NONE),  # without a record only the very domain is one organisation
    ],
)
async def test_sender_and_author_may_be_of_one_organisation(sender: str, author: str, is_aligned: bool, verdict: Verdict) -> None:
    found = await prove(_from(author), sender=sender, to=author)
    assert (found.is_aligned, found.verdict) == (is_aligned, verdict)


async def test_a_relay_does_not_say_who_is_of_one_organisation() -> None:
    content = _relayed("dmarc=pass header.from=example.jp")
    assert (await prove(content, sender="bounce@mail.example.jp", peer=RELAY)).is_aligned
    assert not (await prove(content, sender="bounce@plain.jp", peer=RELAY)).is_aligned
    assert not (await prove(content, sender="bounce@mail.example.jp", peer=RELAY, names=Nobody())).is_aligned


async def test_a_domain_without_a_record_may_sign_all_the_same() -> None:
    found = await prove(signed(_from("taro@plain.jp"), domain="plain.jp"), sender="prvs=1=taro@plain.jp", peer=OTHER)
    assert (found.verdict, found.is_aligned) == (Verdict.PASS, True)


@pytest.mark.parametrize(
    "to, reach",
    [
        ("taro@example.jp", Reach.YES),
        ("taro@host.jp", Reach.YES),  # no MX: its address takes mail
        ("taro@null.jp", Reach.NULL_MX),
        ("taro@none.jp", Reach.NO_DOMAIN),
        ("taro@dead.jp", Reach.UNKNOWN),
    ],
)
async def test_mail_reaches_a_domain_or_not(to: str, reach: Reach) -> None:
    found = await prove(BLANK, to=to, names=InZone(Zone(ZONE, unknown=["dead.jp MX"])))
    assert found.reach is reach


async def test_the_null_sender_is_nobodys() -> None:
    assert await prove(BLANK, sender="") == Proof(client=OWN)


async def test_over_a_real_wire_it_is_the_same() -> None:
    async with a_name_server(Zone(ZONE)) as server:
        resolver = dns.asyncresolver.Resolver(configure=False)
        resolver.nameservers = [dns.nameserver.Do53Nameserver("127.0.0.1", server.port)]
        names = NameServers(resolver, clock=FakeClock())
        assert await prove(SIGNED, peer=OTHER, names=names) == Proof(
            verdict=Verdict.PASS, is_aligned=True, reach=Reach.YES, client=OTHER
        )
        once = len(server.zone.asked)
        assert (await prove(BLANK, peer=OTHER, names=names)).verdict is Verdict.FAIL
        assert len(server.zone.asked) == once + 1  # SPF, which a good signature had made needless

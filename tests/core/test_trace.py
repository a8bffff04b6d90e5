from collections.abc import Callable
from ipaddress import ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailgate.core.headers import scan
from mailgate.core.trace import MAX_FIELDS, Hop, Trace, read_hop, trace

RELAYS = (ip_network("192.0.2.1/32"), ip_network("2001:db8:1::/48"))
RELAY, STRANGER = "192.0.2.1", "203.0.113.9"
OURS = "Received: from phone.example (phone.example [198.51.100.7]) by mx.city.jp (Postfix) with ESMTP id 1; date"
FORGED = "Received: from bank.example (bank.example [198.51.100.200]) by mx.city.jp with ESMTP id 2; date"


def _trace(*fields: str, peer: str = RELAY, authserv_id: str = "") -> Trace:
    return trace(scan("\r\n".join((*fields, "", "")).encode()), peer=peer, relays=RELAYS, authserv_id=authserv_id)


def _verdicts(*fields: str, peer: str = RELAY, authserv_id: str = "") -> list[str]:
    return [claim.result for claim in _trace(*fields, peer=peer, authserv_id=authserv_id).claims]


def _says(result: str, by: str = "mx.city.jp") -> str:
    return f"Authentication-Results: {by}; dmarc={result}"


@pytest.mark.parametrize(
    "line, hop",
    [
        ("from a.jp (b.jp [198.51.100.7])\r\n\tby mx.city.jp (Postfix) with ESMTP id 1; Tue", Hop("198.51.100.7", "mx.city.jp")),
        ("from a.jp (b.jp [IPv6:2001:db8::7]) by MX.City.jp; Tue", Hop("2001:db8::7", "mx.city.jp")),
        ("from a.jp (b.jp [2001:db8::7]) by mx with SMTP", Hop("2001:db8::7", "mx")),
        ("from [198.51.100.7] (port=5678 helo=[198.51.100.99]) by mx with esmtp (Exim)", Hop("198.51.100.7", "mx")),
        ("from b.jp ([198.51.100.7]:5678 helo=a.jp) by mx with esmtp", Hop("198.51.100.7", "mx")),
        ("from a.jp (198.51.100.7) by mx.city.jp (10.0.0.1) with Microsoft SMTP Server", Hop("198.51.100.7", "mx.city.jp")),
        ("from unknown (HELO a.jp) (198.51.100.7) by 0 with SMTP; date", Hop("198.51.100.7", "0")),
        ("from [198.51.100.99] (unknown [198.51.100.7]) by mx; date", Hop("198.51.100.7", "mx")),  # what it calls itself comes first
        ("from x (y [198.51.100.99]) (b.jp [198.51.100.7]) by mx; date", Hop("198.51.100.7", "mx")),
        ("from x by evil.jp (b.jp [198.51.100.7]) by mx; date", Hop("198.51.100.7", "mx")),
        ("from a.jp (b.jp [not an address]) by mx; date", Hop(None, "mx")),
        ("from a.jp (b.jp [1.2.3]) (c.jp [198.51.100.7]) (d [::::]) by mx", Hop("198.51.100.7", "mx")),
        ("from a.jp by mx; date", Hop(None, "mx")),
        ("by mx (Postfix, from userid 0) id 1; date", Hop(None, "mx", is_local=True)),
        ("(qmail 1 invoked from network); date", Hop(None, "", is_local=True)),
        ("from a.jp (b.jp [198.51.100.7])", Hop(None, "", is_local=True)),  # and by nobody
        ("", Hop(None, "", is_local=True)),
    ],
)
def test_a_line_names_who_gave_the_mail_and_who_took_it(line: str, hop: Hop) -> None:
    assert read_hop(line) == hop


def test_a_long_line_is_looked_at_in_part() -> None:
    assert read_hop("from a.jp " + "x" * 1_000 + " ([198.51.100.7]) by mx").client is None


def test_a_peer_that_is_no_relay_is_the_client_whatever_the_mail_says() -> None:
    assert _trace(_says("pass"), OURS, peer=STRANGER) == Trace(client=STRANGER)


def test_a_relay_names_the_client() -> None:
    assert _trace(OURS, FORGED).client == "198.51.100.7"


@pytest.mark.parametrize("peer", ["::ffff:192.0.2.1", "2001:db8:1::25"])
def test_a_relay_is_known_in_any_clothes(peer: str) -> None:
    assert _trace(OURS, peer=peer).client == "198.51.100.7"


def test_a_relay_that_says_nothing_leaves_the_client_unknown() -> None:
    assert _trace("Received: from a.jp by mx.city.jp; date", FORGED) == Trace(client=None)
    assert _trace("Subject: x", peer=RELAY).client == RELAY  # nothing was passed on by anybody: it is the relay's own mail


@pytest.mark.parametrize("peer", ["127.0.0.1", "::1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "fd00::1", "fe80::1"])
def test_a_private_peer_that_passes_a_mail_on_is_not_where_it_came_from(peer: str) -> None:
    assert _trace(OURS, _says("pass"), peer=peer) == Trace(client=None)
    assert _trace("Subject: x", peer=peer) == Trace(client=peer)


def test_relays_of_ours_in_a_row_are_followed() -> None:
    inner = "Received: from edge (edge [192.0.2.1]) by inner.city.jp with ESMTP; date"
    filter_ = "Received: from localhost (localhost [127.0.0.1]) by mx.city.jp with ESMTP; date"
    assert _trace(inner, filter_, OURS, FORGED).client == "198.51.100.7"


def test_what_a_relay_passes_on_within_itself_is_followed() -> None:
    for line in ("Received: by mx.city.jp (Postfix, from userid 108); date", "Received: (qmail 1 invoked from network); date"):
        assert _trace(line, OURS, FORGED).client == "198.51.100.7"


def test_a_circle_of_relays_ends() -> None:
    circle = "Received: from a (a [192.0.2.1]) by mx.city.jp; date"
    assert _trace(*[circle] * 11, OURS).client == RELAY
    assert _trace(*[circle] * 9, OURS).client == "198.51.100.7"


@pytest.mark.parametrize(
    "fields, results",
    [
        ([_says("pass"), OURS], ["pass"]),
        ([OURS, _says("fail")], ["fail"]),
        ([OURS, _says("fail"), _says("pass")], ["fail"]),  # below its line only the first is the relay's
        ([_says("fail"), OURS, _says("pass")], ["fail", "pass"]),  # the topmost of one method counts (core.authentication.stated)
        ([_says("fail"), _says("pass"), OURS], ["fail", "pass"]),  # above its line all are: filters write one each
        ([OURS, FORGED, _says("pass")], []),  # below somebody else's line nothing is
        ([FORGED.replace("mx.city.jp", "x.jp"), _says("pass")], []),
        ([OURS, _says("pass", by="mx.other.jp")], []),
        ([OURS, _says("pass", by="mx.other.jp"), _says("fail", by="MX.City.JP")], ["fail"]),
        ([_says("fail", by="filter.city.jp"), OURS], ["fail"]),
        ([_says("fail")], ["fail"]),  # a relay that leaves no line: whatever it passes on stands below what it wrote
        ([OURS], []),
        (["Received: (qmail 1 invoked from network); date", "Authentication-Results: ; dmarc=pass"], []),
        ([], []),
    ],
)
def test_only_what_the_relay_wrote_is_believed(fields: list[str], results: list[str]) -> None:
    assert _verdicts(*fields) == results
    assert _verdicts(*fields, peer=STRANGER) == []


@pytest.mark.parametrize(
    "fields, results",
    [
        ([_says("pass"), OURS], []),
        ([_says("fail", by="auth.city.jp"), OURS], ["fail"]),
        ([_says("pass"), _says("fail", by="Auth.City.JP"), OURS], ["fail"]),
        ([OURS, _says("pass"), _says("fail", by="auth.city.jp")], ["fail"]),
        ([OURS, _says("fail", by="auth.city.jp"), _says("pass", by="auth.city.jp")], ["fail"]),
        ([OURS, FORGED, _says("pass", by="auth.city.jp")], []),
    ],
)
def test_with_a_name_in_the_configuration_only_that_name_counts(fields: list[str], results: list[str]) -> None:
    assert _verdicts(*fields, authserv_id="auth.City.jp") == results


def test_each_relay_in_a_row_speaks_once() -> None:
    inner = "Received: from edge (edge [192.0.2.1]) by inner.city.jp with ESMTP; date"
    fields = [inner, _says("none", by="inner.city.jp"), OURS, _says("fail"), _says("pass")]
    assert _verdicts(*fields) == ["none", "fail"]


def test_so_many_fields_are_looked_at() -> None:
    assert _verdicts(*[_says("fail")] * (MAX_FIELDS + 10)) == ["fail"] * MAX_FIELDS


@given(st.binary(max_size=300), st.sampled_from([RELAY, STRANGER, "127.0.0.1"]))
def test_any_mail_has_a_trace(content: bytes, peer: str) -> None:
    head = b"Received: from x ([198.51.100.7]) by mx\r\nAuthentication-Results: mx; dmarc=pass\r\n"
    for mail in (content, head + content):
        assert isinstance(trace(scan(mail), peer=peer, relays=RELAYS), Trace)


@pytest.mark.parametrize("text", ["a", " ", " by ", "[", "[1.2.3.4]", "helo=", "helo=x ", "from ", "(1:", "\x80"])
def test_no_line_keeps_us_long(text: str, cpu_seconds: Callable[[Callable[[], object]], float]) -> None:
    value = "from " + text * (60_000 // len(text)) + " by mx"
    assert cpu_seconds(lambda: read_hop(value)) < 0.02

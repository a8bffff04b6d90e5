import asyncio
from collections.abc import AsyncIterator

import dns.asyncresolver
import dns.nameserver
import pytest
from structlog.testing import capture_logs

from mailgate.core.instants import HOUR, MINUTE, SECOND
from mailgate.core.lookups import Answer, Inquiry, Kind, Lack, Question
from mailgate.smtp.names import KEPT, NameServers, Nobody, carried, names_of
from tests.fakes import FakeClock
from tests.wire.nameserver import NameServer, a_name_server
from tests.zones import Zone

LONG = "v=spf1 " + "ip4:192.0.2.7 " * 200
ZONE = {
    "example.jp A": ["192.0.2.7", "192.0.2.8"],
    "example.jp AAAA": ["2001:db8::7"],
    "example.jp MX": ["MX.example.jp", "mx2.example.jp"],
    "example.jp TXT": ["v=spf1 -all", 'a "quoted" \\ text'],
    "long.example.jp TXT": [LONG],
    "null.jp MX": ["."],
    "7.2.0.192.in-addr.arpa PTR": ["Mail.Example.jp"],
}


@pytest.fixture
async def server() -> AsyncIterator[NameServer]:
    async with a_name_server(Zone(ZONE, unknown=["dead.jp A", "dead.jp MX"])) as made:
        yield made


def _names(server: NameServer, clock: FakeClock | None = None, patience_s: float = 0.1) -> NameServers:
    resolver = dns.asyncresolver.Resolver(configure=False)
    resolver.nameservers = [dns.nameserver.Do53Nameserver("127.0.0.1", server.port)]
    return NameServers(resolver, clock=clock or FakeClock(), patience_s=patience_s)


@pytest.mark.parametrize(
    "name, kind, answer",
    [
        ("example.jp", Kind.A, ("192.0.2.7", "192.0.2.8")),
        ("EXAMPLE.jp", Kind.AAAA, ("2001:db8::7",)),
        ("example.jp", Kind.MX, ("mx.example.jp", "mx2.example.jp")),
        ("example.jp", Kind.TXT, ('a "quoted" \\ text', "v=spf1 -all")),
        ("long.example.jp", Kind.TXT, (LONG,)),
        ("null.jp", Kind.MX, (".",)),
        ("7.2.0.192.in-addr.arpa", Kind.PTR, ("mail.example.jp",)),
        ("example.jp", Kind.PTR, Lack.NO_RECORD),
        ("none.jp", Kind.MX, Lack.NO_NAME),
        ("dead.jp", Kind.MX, Lack.UNKNOWN),
        ("a b%c.example.jp", Kind.A, Lack.NO_NAME),
    ],
)
async def test_a_question_is_answered(server: NameServer, name: str, kind: Kind, answer: Answer) -> None:
    assert await _names(server).ask(Question(name, kind)) == answer


@pytest.mark.parametrize("name", ["a" * 64 + ".jp", "a..b", ".".join(["a" * 60] * 5)])
async def test_what_is_no_name_is_not_known(server: NameServer, name: str) -> None:
    assert await _names(server).ask(Question(name, Kind.A)) is Lack.UNKNOWN


async def test_a_server_that_fails_knows_nothing(server: NameServer) -> None:
    server.fails = True
    assert await _names(server).ask(Question("dead.jp", Kind.A)) is Lack.UNKNOWN


async def test_a_server_that_denies_the_root_is_cut_off_and_no_name_is_missing_for_it(server: NameServer) -> None:
    clock = FakeClock()
    names = _names(server, clock)
    server.is_cut_off = True
    assert await names.ask(Question("none.jp", Kind.MX)) is Lack.UNKNOWN
    server.is_cut_off = False
    clock.pass_(MINUTE)
    assert await names.ask(Question("none.jp", Kind.MX)) is Lack.NO_NAME


async def test_a_server_that_is_not_there_knows_nothing() -> None:
    async with a_name_server(Zone({})) as gone:
        names = _names(gone)
    assert await names.ask(Question("example.jp", Kind.A)) is Lack.UNKNOWN


@pytest.mark.parametrize(
    "name, kind, ttl, kept_for",
    [
        ("example.jp", Kind.A, 60, 60 * SECOND),
        ("example.jp", Kind.A, 0, 5 * SECOND),
        ("example.jp", Kind.A, 1_000_000, HOUR),
        ("example.jp", Kind.PTR, 60, 5 * MINUTE),
        ("none.jp", Kind.A, 60, 5 * MINUTE),
        ("dead.jp", Kind.A, 60, 30 * SECOND),
    ],
)
async def test_an_answer_is_kept_as_long_as_it_is_good(server: NameServer, name: str, kind: Kind, ttl: int, kept_for: int) -> None:
    server.ttl, server.fails = ttl, True
    clock = FakeClock()
    names, asked = _names(server, clock), server.zone.asked
    first = await names.ask(Question(name, kind))
    once = len(asked)
    clock.pass_(kept_for - SECOND)
    assert await names.ask(Question(name, kind)) == first
    assert len(asked) == once
    clock.pass_(SECOND)
    assert await names.ask(Question(name, kind)) == first
    assert len(asked) > once


async def test_so_many_answers_are_kept(server: NameServer) -> None:
    names, asked = _names(server), server.zone.asked
    await names.ask(Question("example.jp", Kind.A))
    names._kept |= {Question(f"{n}.jp", Kind.A): (Lack.NO_NAME, float("inf")) for n in range(KEPT)}
    await names.ask(Question("none.jp", Kind.A))
    assert len(names._kept) == KEPT + 1  # one went, one came
    once = len(asked)
    await names.ask(Question("example.jp", Kind.A))
    assert len(asked) > once


async def test_many_questions_at_once_are_answered(server: NameServer) -> None:
    names = _names(server, patience_s=2.0)
    questions = [Question(f"{n}.example.jp", Kind.A) for n in range(300)]
    assert set(await asyncio.gather(*map(names.ask, questions))) == {Lack.NO_NAME}


async def test_a_dead_name_server_is_not_waited_for_again_and_again(server: NameServer) -> None:
    server.is_silent = True
    clock = FakeClock()
    names = _names(server, clock)
    with capture_logs() as logs:
        assert {await names.ask(Question(f"{n}.jp", Kind.A)) for n in range(6)} == {Lack.UNKNOWN}
    assert [event["event"] for event in logs] == ["dns.lost"]
    server.is_silent = False
    assert await names.ask(Question("example.jp", Kind.A)) is Lack.UNKNOWN  # nobody asks
    clock.pass_(30 * SECOND)
    assert await names.ask(Question("example.jp", Kind.A)) == ("192.0.2.7", "192.0.2.8")


async def test_dead_domains_do_not_make_a_name_server_dead(server: NameServer) -> None:
    server.zone.unknown |= {f"{n}.dead.jp a" for n in range(20)}
    names = _names(server)
    with capture_logs() as logs:
        for n in range(12):
            assert await names.ask(Question(f"{n}.dead.jp", Kind.A)) is Lack.UNKNOWN
    assert logs == []
    assert await names.ask(Question("example.jp", Kind.A)) == ("192.0.2.7", "192.0.2.8")


async def test_those_who_wait_together_look_once(server: NameServer) -> None:
    server.is_silent = True
    names = _names(server)
    with capture_logs() as logs:
        for start in (0, 10):
            await asyncio.gather(*[names.ask(Question(f"{n}.jp", Kind.A)) for n in range(start, start + 10)])
    assert [event["event"] for event in logs] == ["dns.lost"]


async def test_the_setting_names_servers(server: NameServer) -> None:
    clock = FakeClock()
    question = Question("example.jp", Kind.A)
    assert isinstance(names_of("none", clock=clock), Nobody)
    assert await names_of("none", clock=clock).ask(question) is Lack.UNKNOWN
    assert await names_of([f"127.0.0.1:{server.port}"], clock=clock).ask(question) == ("192.0.2.7", "192.0.2.8")
    plain = names_of(["192.0.2.53", "[2001:db8::53]:5353"], clock=clock)
    assert isinstance(plain, NameServers)
    assert [str(each) for each in plain._resolver.nameservers] == ["Do53:192.0.2.53@53", "Do53:2001:db8::53@5353"]


async def test_an_inquiry_is_carried_to_its_end(server: NameServer) -> None:
    def inquiry() -> Inquiry[tuple[Answer, Answer]]:
        first = yield Question("example.jp", Kind.MX)
        second = yield Question("none.jp", Kind.MX)
        return first, second

    assert await carried(inquiry(), _names(server)) == (("mx.example.jp", "mx2.example.jp"), Lack.NO_NAME)

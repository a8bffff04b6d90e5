"""Names: the DNS, asked without harm.

- A question waits two seconds at most, and answers are kept: as long as they say and an hour at most, a lack of records for five minutes (a
  server that forgets to say how long would have us believe it for years), no answer for half a minute.
- Nothing is ever raised: whatever goes wrong is Lack.UNKNOWN.
- A server that says of the root itself that it is not there is cut off from the world: its "no such name" is believed of no name.
- When several questions in a row get no answer, the name server itself is asked for something that every one knows. Only if that gets no
  answer either is it taken for dead, and for half a minute nobody waits for it. So a stranger with a dead domain cannot talk us into that.
"""

import asyncio
from collections.abc import Sequence
from itertools import islice
from typing import Final, Protocol, TypeVar

import dns.asyncresolver
import dns.exception
import dns.name
import dns.nameserver
import dns.rdata
import dns.rdatatype
import dns.resolver
import structlog
from dns.rdtypes.ANY.MX import MX
from dns.rdtypes.ANY.PTR import PTR
from dns.rdtypes.ANY.TXT import TXT

from mailgate.core.hostport import split_server
from mailgate.core.lookups import Answer, Inquiry, Lack, Question
from mailgate.runtime import Clock

log = structlog.get_logger()
T = TypeVar("T")

PORT: Final = 53
KEPT: Final = 10_000  # answers
_MOST: Final = 100  # records of one answer
_AT_ONCE: Final = 50  # questions
_LONGEST_S: Final = 3_600.0
_SHORTEST_S: Final = 5.0
_LACK_S: Final = 300.0
_UNKNOWN_S: Final = 30.0
_SUSPICIOUS: Final = 5  # questions without an answer, one after the other
_PAYLOAD: Final = 1_232  # octets over UDP that no network cuts; more comes over TCP


class Names(Protocol):
    """Whom a question is put to."""

    async def ask(self, question: Question) -> Answer:
        """An answer. Raises nothing but CancelledError."""
        ...


class Nobody:
    """No name server: nothing is known."""

    async def ask(self, _question: Question) -> Answer:
        return Lack.UNKNOWN


class NameServers:
    """Some name servers, asked one after the other."""

    def __init__(self, resolver: dns.asyncresolver.Resolver, *, clock: Clock, patience_s: float = 2.0) -> None:
        resolver.cache = None
        resolver.lifetime = patience_s
        resolver.timeout = patience_s / 2  # for one server, once: there is time for another, or for a lost packet
        resolver.use_edns(0, 0, _PAYLOAD)
        self._resolver = resolver
        self._clock = clock
        self._kept: dict[Question, tuple[Answer, float]] = {}
        self._places = asyncio.Semaphore(_AT_ONCE)
        self._one_looks = asyncio.Lock()
        self._unanswered = 0
        self._away_until = self._root_known_until = float("-inf")

    async def ask(self, question: Question) -> Answer:
        """An answer. Raises nothing but CancelledError."""
        answer, until = self._kept.get(question, (Lack.UNKNOWN, float("-inf")))
        if self._clock.monotonic() < until:
            return answer
        async with self._places:
            if await self._is_away():
                return Lack.UNKNOWN
            answer, good_for_s = await self._look_up(question)
        self._kept.pop(question, None)
        if len(self._kept) >= KEPT:
            del self._kept[next(iter(self._kept))]
        self._kept[question] = (answer, self._clock.monotonic() + good_for_s)
        return answer

    async def _look_up(self, question: Question) -> tuple[Answer, float]:
        """An answer, and for how many seconds it is good."""
        try:
            found = await self._resolver.resolve(question.name + ".", question.kind.value, search=False)
        except dns.resolver.NXDOMAIN:
            self._unanswered = 0
            return (Lack.UNKNOWN, _UNKNOWN_S) if await self._is_cut_off() else (Lack.NO_NAME, _LACK_S)
        except dns.resolver.NoAnswer:
            self._unanswered = 0
            return Lack.NO_RECORD, _LACK_S
        except dns.exception.Timeout:
            self._unanswered += 1
            return Lack.UNKNOWN, _UNKNOWN_S
        except (dns.exception.DNSException, OSError, ValueError):  # refused, failed, or not understood
            return Lack.UNKNOWN, _UNKNOWN_S
        self._unanswered = 0
        records = tuple(sorted(_text(record) for record in islice(found, _MOST)))
        return records, min(max(float(found.chaining_result.minimum_ttl), _SHORTEST_S), _LONGEST_S)

    async def _is_cut_off(self) -> bool:
        """Whether the server knows no root either: it stands in a network of its own, and that a name is not there says nothing."""
        if self._clock.monotonic() < self._root_known_until:
            return False
        try:
            await self._resolver.resolve(".", dns.rdatatype.NS, search=False)
        except dns.resolver.NXDOMAIN:
            log.warning("dns.lost", reason="cut_off")
            return True
        except (dns.exception.DNSException, OSError):
            pass  # it does not say that there is none
        self._root_known_until = self._clock.monotonic() + _LONGEST_S
        return False

    async def _is_away(self) -> bool:
        if self._unanswered < _SUSPICIOUS:
            return False
        async with self._one_looks:
            if self._clock.monotonic() < self._away_until:
                return True
            if self._unanswered < _SUSPICIOUS:
                return False
            try:
                await self._resolver.resolve(".", dns.rdatatype.NS, lifetime=self._resolver.timeout, search=False)
            except dns.exception.Timeout:
                self._away_until = self._clock.monotonic() + _UNKNOWN_S
                log.warning("dns.lost", reason="unanswered")
                return True
            except (dns.exception.DNSException, OSError):
                pass  # it is there and does not like the question
            self._unanswered = 0
            return False


async def carried(inquiry: Inquiry[T], names: Names) -> T:
    """Put the questions of an inquiry; what it found."""
    try:
        question = next(inquiry)
        while True:
            question = inquiry.send(await names.ask(question))
    except StopIteration as end:
        found: T = end.value
        return found


def names_of(servers: Sequence[str] | str, *, clock: Clock) -> Names:
    """What the setting `dns.servers` names: "system", "none", or servers as `IP` or `IP:PORT`."""
    if servers == "none":
        return Nobody()
    if servers == "system":
        try:
            return NameServers(dns.asyncresolver.Resolver(), clock=clock)
        except dns.resolver.NoResolverConfiguration:
            log.warning("dns.lost", reason="unconfigured")
            return Nobody()
    resolver = dns.asyncresolver.Resolver(configure=False)
    split = (split_server(server, port=PORT) for server in servers)
    resolver.nameservers = [dns.nameserver.Do53Nameserver(*server) for server in split if server is not None]
    return NameServers(resolver, clock=clock)


def _text(record: dns.rdata.Rdata) -> str:
    """A record as core.lookups has it."""
    match record:
        case TXT():
            return b"".join(record.strings).decode("latin-1")
        case MX():
            return _name(record.exchange)
        case PTR():
            return _name(record.target)
        case _:
            return record.to_text()


def _name(name: dns.name.Name) -> str:
    return name.to_text(omit_final_dot=True).lower() or "."

"""A name server on the loopback that answers from a zone, over UDP, and over TCP what is too long for that."""

import asyncio
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import cast

import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype
import dns.rrset

from mailgate.core.lookups import Kind, Lack, Question
from tests.zones import Zone

_TTL = 60
_PAYLOAD = 1_232


class NameServer:
    """Knows one zone. What the zone does not know it leaves without an answer; `fails` makes it say SERVFAIL instead."""

    def __init__(self, zone: Zone) -> None:
        self.zone = zone
        self.ttl = _TTL
        self.is_silent = False
        self.fails = False
        self.is_cut_off = False
        self.port = 0

    def answer(self, wire: bytes, *, is_udp: bool) -> bytes | None:
        query = dns.message.from_wire(wire)
        (asked,) = query.question
        name = asked.name.to_text(omit_final_dot=True)
        kind = dns.rdatatype.to_text(asked.rdtype)
        reply = dns.message.make_response(query, recursion_available=True)
        if self.is_silent:
            return None
        if self.is_cut_off:
            reply.set_rcode(dns.rcode.NXDOMAIN)
            return reply.to_wire()
        if kind not in set(Kind):
            return reply.to_wire()
        found = self.zone.answer(Question(name, Kind(kind)))
        match found:
            case Lack.UNKNOWN if not self.fails:
                return None
            case Lack.UNKNOWN:
                reply.set_rcode(dns.rcode.SERVFAIL)
            case Lack.NO_NAME:
                reply.set_rcode(dns.rcode.NXDOMAIN)
            case Lack.NO_RECORD:
                pass
            case records:
                reply.answer.append(dns.rrset.from_text_list(asked.name, self.ttl, "IN", kind, [_written(kind, each) for each in records]))
        octets = reply.to_wire(max_size=65_535)
        if is_udp and len(octets) > _PAYLOAD:
            reply.answer.clear()
            reply.flags |= dns.flags.TC
            octets = reply.to_wire()
        return octets

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError):
            (length,) = struct.unpack("!H", await reader.readexactly(2))
            octets = self.answer(await reader.readexactly(length), is_udp=False)
            if octets is not None:
                writer.write(struct.pack("!H", len(octets)) + octets)
        writer.close()


class _Datagrams(asyncio.DatagramProtocol):
    def __init__(self, server: NameServer) -> None:
        self._server = server

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # A datagram socket's is one, also where no base class says so.
        self._transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        octets = self._server.answer(data, is_udp=True)
        if octets is not None:
            self._transport.sendto(octets, addr)


@asynccontextmanager
async def a_name_server(zone: Zone) -> AsyncIterator[NameServer]:
    """A name server for a zone, on a free port."""
    server = NameServer(zone)
    tcp = await asyncio.start_server(server.talk, "127.0.0.1", 0)
    server.port = tcp.sockets[0].getsockname()[1]
    loop = asyncio.get_running_loop()
    udp, _ = await loop.create_datagram_endpoint(lambda: _Datagrams(server), ("127.0.0.1", server.port))
    try:
        yield server
    finally:
        udp.close()
        tcp.close()
        await tcp.wait_closed()


def _written(kind: str, record: str) -> str:
    """A record as a zone file has it."""
    match kind:
        case "TXT":
            return " ".join(f'"{_escaped(record[at : at + 255])}"' for at in range(0, len(record), 255))
        case "MX":
            return f"10 {record.rstrip('.')}."
        case "PTR":
            return f"{record}."
        case _:
            return record


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')

"""Security: what holds for every page, whatever it shows.

`Edge` is the outermost layer. It refuses a foreign Host (what we answer must not depend on a name somebody else made up) and a POST that
another site's page sent, puts the same headers on every answer, and turns whatever goes wrong inside into a plain page and one log
event without a word of the exception.

A link carries the right to what it opens, so on its pages a forged request from elsewhere has nothing to ride on; only `/me` has a cookie,
and a token beside it (`session`). The Origin is looked at everywhere. Under `Referrer-Policy: no-referrer`, which keeps tokens out of
others' logs, browsers send `Origin: null` with our own forms too; then Sec-Fetch-Site tells, where the browser has it.

`Tries` bounds guessing of short codes. It counts what was wrong, for each client network and over all; in memory, since a restart is not
something a guesser can cause.
"""

import ipaddress
from collections.abc import Callable, Iterable, MutableMapping
from dataclasses import dataclass
from email.utils import format_datetime
from typing import Final
from urllib.parse import urlsplit

import structlog
from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect, HTTPConnection, Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mailgate.core.instants import HOUR, Instant, later, to_datetime
from mailgate.core.limits import Bucket, network_of
from mailgate.logs import fault_of
from mailgate.runtime import Clock

log = structlog.get_logger()

_LOOPBACK: Final = frozenset({"127.0.0.1", "localhost", "::1"})
_CSP: Final = (
    "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
_HEADERS: Final = (
    (b"content-security-policy", _CSP.encode()),
    (b"referrer-policy", b"no-referrer"),
    (b"cache-control", b"no-store"),
    (b"x-content-type-options", b"nosniff"),
)
_HSTS: Final = (b"strict-transport-security", b"max-age=31536000")

# More requests than this at one time are asked to come back: each may hold a database connection or a password hash.
MAX_OPEN: Final = 256

# Short codes: a hundred million, some thousand of them alive. A family mistypes twice; a guesser gets 20 at once, then 30 an hour.
CODE_TRIES_OF_A_NETWORK: Final = Bucket(rate=30, period=HOUR, burst=20)
CODE_TRIES_OVER_ALL: Final = Bucket(rate=600, period=HOUR, burst=600)
_SWEEP_AT: Final = 2_000


class Policy:
    """What follows from our public address."""

    def __init__(self, public_url: str) -> None:
        parts = urlsplit(public_url)
        default_port = {"https": 443, "http": 80}[parts.scheme]
        port = "" if parts.port in (None, default_port) else f":{parts.port}"
        self.hosts: Final = _LOOPBACK | {(parts.hostname or "").lower()}
        self.origin: Final = f"{parts.scheme}://{(parts.hostname or '').lower()}{port}"
        self.headers: Final = (*_HEADERS, _HSTS) if parts.scheme == "https" else _HEADERS

    def knows(self, host: str) -> bool:
        """Whether a Host header names us or the loopback, whatever its port."""
        return _name_of(host) in self.hosts

    def is_foreign(self, headers: Headers) -> bool:
        """Whether a browser says that another site's page sent this."""
        origin = headers.get("origin")
        if origin is None:
            return False
        if origin == "null":
            return headers.get("sec-fetch-site", "same-origin") in ("cross-site", "same-site")
        host = headers.get("host", "")
        # A tunnel or a test reaches us by a loopback name; that page's origin is where it was read.
        return origin != self.origin and not (_name_of(host) in _LOOPBACK and origin == f"http://{host}")


def _name_of(host: str) -> str:
    name, colon, port = host.rpartition(":")
    bare = name if colon and port.isdecimal() else host
    return bare.removeprefix("[").removesuffix("]").removesuffix(".").lower()


class Edge:
    """The outermost layer of the application."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        policy: Policy,
        problem: Callable[[HTTPConnection, int], Response],
        clock: Clock,
        max_open: int = MAX_OPEN,
    ) -> None:
        self._app = app
        self._policy = policy
        self._problem = problem
        self._clock = clock
        self._max_open = max_open
        self._open = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        body = _Incoming(receive, expected=_announces_body(headers))
        answer = _Outgoing(send, headers=(*self._policy.headers, self._date()), body=body)
        status = self._refusal(scope, headers)
        self._open += 1
        try:
            await (self._app if status is None else self._problem(HTTPConnection(scope), status))(scope, body, answer)
        except ClientDisconnect:
            return  # nobody is there to be told
        except Exception as error:  # noqa: BLE001  # an outermost loop: the next request is served
            log.error("web.fault_caught", fault=fault_of(error), page=_route_of(scope))  # no traceback in a log
            if not answer.started:
                await self._problem(HTTPConnection(scope), 500)(scope, body, answer)
        finally:
            self._open -= 1

    def _refusal(self, scope: Scope, headers: Headers) -> int | None:
        if self._open >= self._max_open:
            return 503
        if not self._policy.knows(headers.get("host", "")):
            return 400
        return 403 if scope["method"] == "POST" and self._policy.is_foreign(headers) else None

    def _date(self) -> tuple[bytes, bytes]:
        return b"date", format_datetime(to_datetime(self._clock.now()), usegmt=True).encode("ascii")


class _Incoming:
    """Passes the body on and knows whether it was read to its end."""

    def __init__(self, receive: Receive, *, expected: bool) -> None:
        self._receive = receive
        self.unread = expected

    async def __call__(self) -> Message:
        message = await self._receive()
        if message["type"] == "http.request" and not message.get("more_body", False):
            self.unread = False
        return message


class _Outgoing:
    """Puts our headers on an answer. Where a body was left unread the connection ends, instead of reading on for nothing."""

    def __init__(self, send: Send, *, headers: tuple[tuple[bytes, bytes], ...], body: _Incoming) -> None:
        self._send = send
        self._headers = headers
        self._body = body
        self.started = False

    async def __call__(self, message: MutableMapping[str, object]) -> None:
        if message["type"] == "http.response.start":
            self.started = True
            given: list[tuple[bytes, bytes]] = list(message.get("headers", ()))  # type: ignore[call-overload]  # ASGI
            names = {name for name, _ in given}
            given += [header for header in self._headers if header[0] not in names]
            if self._body.unread:
                given.append((b"connection", b"close"))
            message = {**message, "headers": given}
        await self._send(message)


def _announces_body(headers: Headers) -> bool:
    return "transfer-encoding" in headers or headers.get("content-length", "0") != "0"


def _route_of(scope: Scope) -> str:
    """The pattern of the page, which has no token in it."""
    return str(getattr(scope.get("route"), "path", "none"))


class Clients:
    """Who is at the other end: the peer, or whom a proxy of ours names."""

    def __init__(self, trusted_proxies: Iterable[str]) -> None:
        self._proxies = tuple(ipaddress.ip_network(network) for network in trusted_proxies)

    def network_of(self, request: Request) -> str:
        """The network of the client that sent a request."""
        client = "" if request.client is None else request.client.host
        # The last entry is what our own proxy saw; before it stands what the client made up.
        hops = [hop.strip() for value in request.headers.getlist("x-forwarded-for") for hop in value.split(",")]
        while hops and self._is_proxy(client):
            client = hops.pop()
        return network_of(client)

    def _is_proxy(self, client: str) -> bool:
        try:
            address = ipaddress.ip_address(client)
        except ValueError:
            return False
        if address.version == 6 and address.ipv4_mapped is not None:
            address = address.ipv4_mapped
        return any(address in network for network in self._proxies)


@dataclass(frozen=True, slots=True)
class Refused:
    """No more tries before `free_at`."""

    free_at: Instant


class Tries:
    """Counts wrong guesses of one kind of secret: a try counts until it is forgiven."""

    def __init__(self, clock: Clock, *, of_a_network: Bucket, over_all: Bucket) -> None:
        self._clock = clock
        self._of_a_network = of_a_network
        self._over_all = over_all
        self._networks: dict[str, Instant] = {}
        self._all: Instant | None = None

    def begin(self, network: str) -> Refused | None:
        """Count a try before it is looked at; Refused: it is not to be looked at."""
        now = self._clock.now()
        mine = self._of_a_network.take(self._networks.get(network), now=now)
        if mine is None:
            return Refused(_free_at(self._of_a_network, self._networks[network]))
        everybodys = self._over_all.take(self._all, now=now)
        if everybodys is None:
            return Refused(_free_at(self._over_all, self._all or now))
        self._sweep(now)
        self._networks[network], self._all = mine, everybodys
        return None

    def forgive(self, network: str) -> None:
        """Take a try back: it was right."""
        if network in self._networks:
            self._networks[network] = later(self._networks[network], -_step(self._of_a_network))
        if self._all is not None:
            self._all = later(self._all, -_step(self._over_all))

    def _sweep(self, now: Instant) -> None:
        if len(self._networks) >= _SWEEP_AT:  # no more than CODE_TRIES_OVER_ALL lets in are alive at a time
            self._networks = {network: tat for network, tat in self._networks.items() if tat > now}


def _step(bucket: Bucket) -> int:
    return bucket.period // bucket.rate


def _free_at(bucket: Bucket, tat: Instant) -> Instant:
    return later(tat, -(bucket.burst - 1) * _step(bucket))

"""The HTTP server: uvicorn's protocol over h11 in our own loop, without its habits.

uvicorn as a program takes the signals, writes an access log (with our tokens in it) and ends the process when a port is taken. Here its
`Server` only accepts connections: signals belong to the process, there is no access log and no look at a proxy's headers, a port that is
taken is an OSError for the caller. Its once-a-second loop is not run: all it would do is renew a Date header, which `security.Edge` sets.

Slow clients: uvicorn waits for a request's head without end. Here a connection that has not sent one in PATIENCE_S is closed, and so is
one that goes on sending a body nobody reads. The time for a body that is read is in `forms`.
"""

import asyncio
import math
import socket
from typing import Final, cast

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle

PATIENCE_S: Final = 15
MAX_CONNECTIONS: Final = 1_000
# RFC 9112 §3 recommends 8000 octets for a request line; our longest is under 200.
MAX_HEAD_OCTETS: Final = 16 * 1024
_BACKLOG: Final = 1_024


class ImpatientH11(H11Protocol):
    """uvicorn's protocol, which does not wait for a head for ever."""

    _deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in uvicorn
        super().connection_made(transport)
        self.access_log = False  # uvicorn asks the logger, and whoever sets up logging can make that say yes
        self._watch()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._unwatch()

    def _watch(self) -> None:
        """Start the clock where no request is being answered; it is not wound again by each octet that trickles in."""
        if self._is_answering():
            self._unwatch()
        elif self._deadline is None:
            self._deadline = self.loop.call_later(self.timeout_keep_alive, self._give_up)

    def _unwatch(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _give_up(self) -> None:
        self._deadline = None
        if not self._is_answering():
            self.transport.close()

    def _is_answering(self) -> bool:
        cycle = cast("RequestResponseCycle | None", self.cycle)  # there is none before the first request
        return cycle is not None and not cycle.response_complete


class WebServer:
    """Serves an application on one socket."""

    def __init__(self, app: ASGIApp, *, patience_s: int = PATIENCE_S) -> None:
        self._config = uvicorn.Config(
            app,
            interface="asgi3",
            loop="none",
            http=ImpatientH11,
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            date_header=False,
            limit_concurrency=MAX_CONNECTIONS,
            timeout_keep_alive=patience_s,
            h11_max_incomplete_event_size=MAX_HEAD_OCTETS,
            backlog=_BACKLOG,
        )
        self._server = uvicorn.Server(self._config)
        self._sockets: list[socket.socket] = []

    async def start(self, host: str, port: int) -> int:
        """Listen; the port that was bound (0 asks for any).

        Raises:
            OSError: the address cannot be bound.
        """
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        listener = socket.create_server((host, port), family=family, backlog=_BACKLOG)
        self._sockets = [listener]
        self._config.load()
        self._server.lifespan = self._config.lifespan_class(self._config)
        await self._server.startup(sockets=self._sockets)
        return int(listener.getsockname()[1])

    async def stop(self, grace_s: float) -> None:
        """Take no more connections, let open requests end within the grace, then cut them off."""
        self._config.timeout_graceful_shutdown = math.ceil(grace_s)
        await self._server.shutdown(sockets=self._sockets)
        state = self._server.server_state
        for connection in list(state.connections):
            connection.transport.abort()
        await asyncio.gather(*state.tasks, return_exceptions=True)

"""The front page: where the code of the reply mail is typed, and what to do if no mail came.

A code is 8 digits, so guesses are bounded before they are looked at (`security.Tries`); what is no code at all is no guess.
"""

from collections.abc import Mapping
from typing import Protocol

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from mailgate.core.instants import MINUTE, SECOND, later
from mailgate.core.tokens import read_short_code
from mailgate.runtime import Clock
from mailgate.web import forms
from mailgate.web.routes import page, see_other
from mailgate.web.security import Clients, Refused, Tries
from mailgate.web.views import Views


class Codes(Protocol):
    """What finds an invitation: `journeys.join.Join`."""

    async def redeem(self, short_code: str) -> str | None: ...


class Front:
    """The front page: the code of the reply mail, and what to do without one."""

    def __init__(self, *, join: Codes, views: Views, tries: Tries, clients: Clients, clock: Clock) -> None:
        self._join = join
        self._views = views
        self._tries = tries
        self._clients = clients
        self._clock = clock

    def routes(self) -> list[Route]:
        """The one page."""
        return [page("/", self.show, self.redeem)]

    async def show(self, request: Request) -> Response:
        """Where the code of the reply mail is typed."""
        return self._page(request)

    async def redeem(self, request: Request) -> Response:
        """From a code to its link."""
        typed = (await forms.fields_of(request)).get("short_code", "").strip()
        code = read_short_code(typed)
        if code is None:  # what is no code is no guess either
            return self._page(request, typed, {"short_code": "not_a_code" if typed else "missing"})
        network = self._clients.network_of(request)
        refused = self._tries.begin(network)
        if refused is not None:
            return self._too_many(request, refused)
        token = await self._join.redeem(code)
        if token is None:
            return self._page(request, typed, {"short_code": "unknown_short_code"})
        self._tries.forgive(network)
        return see_other(self._views.tongue(request), "j", token)

    def _page(self, request: Request, typed: str = "", faults: Mapping[str, str] | None = None) -> Response:
        return self._views.page(
            "front",
            self._views.tongue(request),
            status=422 if faults else 200,
            typed=typed,
            faults=faults or {},
        )

    def _too_many(self, request: Request, refused: Refused) -> Response:
        wait_s = -(-(refused.free_at - self._clock.now()) // SECOND)
        return self._views.page(
            "wait",
            self._views.tongue(request),
            status=429,
            headers={"Retry-After": str(max(1, wait_s))},
            free_at=later(refused.free_at, MINUTE - 1),  # the page names whole minutes
        )

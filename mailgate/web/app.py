"""The application: pages, refusals, and what stands around both.

`create_app` takes the journeys and the facts of the house and gives an ASGI application; nothing here knows a database. What a page cannot
answer with (an unknown path, a wrong method, a body too large) is raised as an HTTPException and becomes a page of ours.
"""

from dataclasses import dataclass

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from mailgate.core.letters import House
from mailgate.runtime import Clock
from mailgate.web.guardian import CopyPages, JoinJourney, JoinPages, ReachJourney, StopJourney
from mailgate.web.routes import page
from mailgate.web.security import CODE_TRIES_OF_A_NETWORK, CODE_TRIES_OVER_ALL, Clients, Edge, Policy, Tries
from mailgate.web.staff import SendJourney, SendPages
from mailgate.web.views import Views


@dataclass(frozen=True, slots=True, kw_only=True)
class Pages:
    """What the pages stand on."""

    join: JoinJourney
    send: SendJourney
    reach: ReachJourney
    stop: StopJourney
    house: House
    clock: Clock
    trusted_proxies: tuple[str, ...] = ()


def create_app(pages: Pages) -> Starlette:
    """The whole site."""
    views = Views(pages.house)
    tries = Tries(pages.clock, of_a_network=CODE_TRIES_OF_A_NETWORK, over_all=CODE_TRIES_OVER_ALL)
    clients = Clients(pages.trusted_proxies)
    join = JoinPages(join=pages.join, views=views, tries=tries, clients=clients, clock=pages.clock)
    copies = CopyPages(reach=pages.reach, stop=pages.stop, views=views)
    send = SendPages(send=pages.send, views=views)

    async def help_page(_request: Request) -> Response:
        return views.page("help")

    async def css(_request: Request) -> Response:
        return views.css()

    async def healthz(_request: Request) -> Response:
        return PlainTextResponse("ok\n")

    async def refuse(_request: Request, refusal: Exception) -> Response:
        assert isinstance(refusal, HTTPException)  # it is registered for nothing else
        allowed = (refusal.headers or {}).get("Allow", "")
        # Starlette joins a set: sorted, the same refusal is the same answer.
        headers = {"Allow": ", ".join(sorted(allowed.split(", ")))} if allowed else None
        return views.problem(refusal.status_code, headers)

    app = Starlette(
        routes=[
            *join.routes(),
            *copies.routes(),
            *send.routes(),
            page("/help/", help_page),
            page("/app.css", css),
            page("/healthz", healthz),
        ],
        middleware=[Middleware(Edge, policy=Policy(pages.house.public_url), problem=views.problem, clock=pages.clock)],
        exception_handlers={HTTPException: refuse},
    )
    app.router.redirect_slashes = False  # a wrong address is a page that says so
    return app

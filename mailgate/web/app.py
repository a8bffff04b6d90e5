"""The application: pages, refusals, and what stands around both.

`create_app` takes the journeys and the facts of the house and gives an ASGI application; nothing here knows a database. What a page cannot
answer with (an unknown path, a wrong method, a body too large) is raised as an HTTPException and becomes a page of ours.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from mailgate.core.letters import House
from mailgate.core.registration import AddressRule
from mailgate.runtime import Clock
from mailgate.web.another import AnotherJourney, AnotherPages
from mailgate.web.copies import CopyPages, CopySpeech, ReachJourney, StopJourney
from mailgate.web.front import Codes, Front
from mailgate.web.help import HelpPages
from mailgate.web.join import JoinJourney, JoinPages
from mailgate.web.login import LoginJourney, LoginPages, LoginSpeech
from mailgate.web.me import KeepJourney, MePages
from mailgate.web.routes import page
from mailgate.web.security import CODE_TRIES_OF_A_NETWORK, CODE_TRIES_OVER_ALL, Clients, Edge, Policy, Tries
from mailgate.web.session import Cookies
from mailgate.web.staff import SendJourney, SendPages
from mailgate.web.views import Views


class Joining(Codes, JoinJourney, AnotherJourney, Protocol):
    """`journeys.join.Join`."""


class Speaking(CopySpeech, LoginSpeech, Protocol):
    """`journeys.speech.Speech`."""


class Keeping(LoginJourney, KeepJourney, Protocol):
    """`journeys.keep.Keep`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pages:
    """What the pages stand on."""

    join: Joining
    keep: Keeping
    send: SendJourney
    reach: ReachJourney
    stop: StopJourney
    speech: Speaking
    rule: AddressRule
    house: House
    clock: Clock
    trusted_proxies: tuple[str, ...] = ()


def create_app(pages: Pages) -> Starlette:
    """The whole site."""
    views = Views(pages.house, pages.rule)

    async def css(_request: Request) -> Response:
        return views.css()

    async def healthz(_request: Request) -> Response:
        return PlainTextResponse("ok\n")

    async def refuse(request: Request, refusal: Exception) -> Response:
        assert isinstance(refusal, HTTPException)  # it is registered for nothing else
        allowed = (refusal.headers or {}).get("Allow", "")
        # Starlette joins a set: sorted, the same refusal is the same answer.
        headers = {"Allow": ", ".join(sorted(allowed.split(", ")))} if allowed else None
        return views.problem(request, refusal.status_code, headers)

    app = Starlette(
        routes=[
            *_routes(pages, views),
            page("/app.css", css),
            page("/healthz", healthz),
        ],
        middleware=[Middleware(Edge, policy=Policy(pages.house.public_url), problem=views.problem, clock=pages.clock)],
        exception_handlers={HTTPException: refuse},
    )
    app.router.redirect_slashes = False  # a wrong address is a page that says so
    return app


def _routes(pages: Pages, views: Views) -> Iterator[Route]:
    """Every page of ours."""
    tries = Tries(pages.clock, of_a_network=CODE_TRIES_OF_A_NETWORK, over_all=CODE_TRIES_OVER_ALL)
    clients, cookies = Clients(pages.trusted_proxies), Cookies(pages.house.public_url)
    yield from Front(join=pages.join, views=views, tries=tries, clients=clients, clock=pages.clock).routes()
    yield from JoinPages(join=pages.join, views=views).routes()
    yield from AnotherPages(join=pages.join, views=views, clients=clients, cookies=cookies).routes()
    yield from LoginPages(keep=pages.keep, speech=pages.speech, views=views, clients=clients, cookies=cookies).routes()
    yield from MePages(keep=pages.keep, views=views, cookies=cookies).routes()
    yield from CopyPages(reach=pages.reach, stop=pages.stop, speech=pages.speech, views=views).routes()
    yield from SendPages(send=pages.send, views=views).routes()
    yield from HelpPages(views).routes()

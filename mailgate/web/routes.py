"""Routes: a path, what shows it, and what a POST to it does."""

from collections.abc import Awaitable, Callable, Mapping
from typing import TypeAlias
from urllib.parse import quote, urlencode

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from mailgate.web.texts import Tongue

Handler: TypeAlias = Callable[[Request], Awaitable[Response]]


def page(path: str, show: Handler, post: Handler | None = None) -> Route:
    """One path of the site; HEAD is answered as GET, any other method is a 405."""

    async def handle(request: Request) -> Response:
        return await (post if post is not None and request.method == "POST" else show)(request)

    return Route(path, handle, methods=["GET"] if post is None else ["GET", "POST"])


def token_of(request: Request) -> str:
    """The token in the path, as it came."""
    return str(request.path_params["token"])


def see_other(tongue: Tongue, *path: str, **query: str) -> Response:
    """What a successful POST answers: neither reloading nor the back button does it again. The reader's choice of language goes along."""
    place = "/" + "/".join(quote(part, safe="") for part in path)
    return RedirectResponse(tongue.url(f"{place}?{urlencode(query)}" if query else place), status_code=303)


def one_of(request: Request, name: str, words: Mapping[str, object] | tuple[str, ...]) -> str:
    """A word in the query that we know, else "": what a page says above itself after a redirect."""
    asked = request.query_params.get(name, "")
    return asked if asked in words else ""

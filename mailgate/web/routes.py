"""Routes: a path, what shows it, and what a POST to it does."""

from collections.abc import Awaitable, Callable
from typing import TypeAlias
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

Handler: TypeAlias = Callable[[Request], Awaitable[Response]]


def page(path: str, show: Handler, post: Handler | None = None) -> Route:
    """One path of the site; HEAD is answered as GET, any other method is a 405."""

    async def handle(request: Request) -> Response:
        return await (post if post is not None and request.method == "POST" else show)(request)

    return Route(path, handle, methods=["GET"] if post is None else ["GET", "POST"])


def token_of(request: Request) -> str:
    """The token in the path, as it came."""
    return str(request.path_params["token"])


def see_other(*path: str) -> Response:
    """What a successful POST answers: neither reloading nor the back button does it again."""
    return RedirectResponse("/" + "/".join(quote(part, safe="") for part in path), status_code=303)

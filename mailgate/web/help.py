"""Help and privacy: what stands in the leaflet and more, each topic on a page of its own that a mail or a person at the telephone can name.

A topic is a section of the catalogues, its steps and notes in order, so that a page is written and not built.
"""

from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from mailgate.web.routes import Handler, page
from mailgate.web.views import Views

CARRIERS: Final = ("docomo", "au", "softbank", "rakuten", "ymobile", "iphone", "gmail")
TOPICS: Final = ("no-mail", "empty-mail", "wrong-qr", "new-phone")


class HelpPages:
    """Pages that everybody may read."""

    def __init__(self, views: Views) -> None:
        self._views = views

    def routes(self) -> list[Route]:
        """A page for each topic."""
        topics = [page(f"/help/{topic}", self._of(topic)) for topic in (*TOPICS, *CARRIERS)]
        return [page("/help/", self.index), *topics, page("/help/faq", self.faq), page("/privacy", self.privacy)]

    async def index(self, request: Request) -> Response:
        """Where to look."""
        return self._views.page("help", self._views.tongue(request), carriers=CARRIERS, topics=TOPICS)

    async def faq(self, request: Request) -> Response:
        """What people ask."""
        return self._views.page("faq", self._views.tongue(request))

    async def privacy(self, request: Request) -> Response:
        """What is kept, why, and how long."""
        return self._views.page("privacy", self._views.tongue(request))

    def _of(self, topic: str) -> Handler:
        async def show(request: Request) -> Response:
            return self._views.page(
                "topic", self._views.tongue(request), topic=topic, carriers=CARRIERS if topic == "no-mail" else ()
            )

        return show

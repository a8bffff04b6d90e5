"""What a mail of ours leads to: the page of a copy with its button, and the way to stop and back.

A GET is no receipt and no stop, since mail scanners open every link. The one POST without a redirect is a mail provider's one-click stop
(RFC 8058 §3.1 forbids one).
"""

from typing import Protocol

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from mailgate.journeys.reach import CopyView
from mailgate.web import forms
from mailgate.web.routes import page, see_other, token_of
from mailgate.web.views import Views


class ReachJourney(Protocol):
    """What a copy's page needs: `journeys.reach.Reach`."""

    async def copy(self, token: str) -> CopyView | None: ...

    async def confirm(self, token: str) -> bool: ...


class StopJourney(Protocol):
    """What stopping needs: `journeys.stop.Stop`."""

    async def paused(self, token: str) -> bool | None: ...

    async def pause(self, token: str) -> bool: ...

    async def resume(self, token: str) -> bool: ...


class CopySpeech(Protocol):
    """What knows the readers' languages: `journeys.speech.Speech`."""

    async def of_copy(self, token: str) -> str | None: ...

    async def of_stop(self, token: str) -> str | None: ...


class CopyPages:
    """A copy's page with its button, and the way to stop and back."""

    def __init__(self, *, reach: ReachJourney, stop: StopJourney, speech: CopySpeech, views: Views) -> None:
        self._reach = reach
        self._stop = stop
        self._speech = speech
        self._views = views

    def routes(self) -> list[Route]:
        """The pages that a mail of ours leads to."""
        return [
            page("/k/{token}", self.copy, self.confirm),
            page("/stop/{token}", self.stop, self.press),
        ]

    async def copy(self, request: Request) -> Response:
        """A broadcast, or the completion mail, as a page."""
        copy = await self._reach.copy(token_of(request))
        tongue = self._views.tongue(request, await self._speech.of_copy(token_of(request)))
        if copy is None:
            return self._views.dead("copy", "invalid", tongue)
        return self._views.page("copy", tongue, copy=copy, token=token_of(request))

    async def confirm(self, request: Request) -> Response:
        """確認しました."""
        await forms.body_of(request)  # bounded; there is nothing in it to look at
        tongue = self._views.tongue(request)
        if not await self._reach.confirm(token_of(request)):
            return self._views.dead("copy", "invalid", tongue)
        return see_other(tongue, "k", token_of(request))

    async def stop(self, request: Request) -> Response:
        """Whether ordinary mail comes, and the button to change that."""
        return await self._shown(request, paused=await self._stop.paused(token_of(request)))

    async def press(self, request: Request) -> Response:
        """Stop or go on, by our button or by a mail provider's."""
        body = await forms.body_of(request)
        token = token_of(request)
        if forms.is_one_click(body):
            known = await self._stop.pause(token)
            return await self._shown(request, paused=True if known else None)
        match forms.read_fields(body).get("action", "pause"):
            case "pause":
                known = await self._stop.pause(token)
            case "resume":
                known = await self._stop.resume(token)
            case _:
                raise HTTPException(400)
        if not known:
            return await self._shown(request, paused=None)
        return see_other(self._views.tongue(request), "stop", token)

    async def _shown(self, request: Request, *, paused: bool | None) -> Response:
        tongue = self._views.tongue(request, await self._speech.of_stop(token_of(request)))
        if paused is None:
            return self._views.dead("stop", "invalid", tongue)
        return self._views.page("stop", tongue, paused=paused, token=token_of(request))

"""The page of a broadcast for its sender, from draft to done: what will be sent, to whom, and the buttons that its state allows.

Which buttons those are is read from the table of the broadcast's life, so page and rule cannot differ. Every press carries the
digest of what was shown: what changed since is shown again instead of sent (MR-73). There is no pupil's name and no address here.
"""

from collections.abc import Mapping
from typing import Final, Protocol, get_args

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from mailgate.core import broadcast, delivery
from mailgate.core.broadcast import TAG, Event, State
from mailgate.journeys.links import LinkDead
from mailgate.journeys.send import Action, ActionRefused, BroadcastView
from mailgate.web import forms
from mailgate.web.routes import page, see_other, token_of
from mailgate.web.views import Views

# In the order of the page. The first one is what Enter presses: in a draft it needs the PIN, later it is the one that can be undone.
_ACTIONS: Final[Mapping[Action, Event]] = {
    "confirm": Event.CONFIRM,
    "halt": Event.HALT,
    "resume": Event.RESUME,
    "cancel": Event.CANCEL,
    "drop": Event.DROP,
}
_REFUSED_STATUS: Final[Mapping[str, int]] = {
    "pin_missing": 422,
    "pin_wrong": 422,
    "pin_wait": 429,
    "not_now": 409,
    "changed": 409,
}


class SendJourney(Protocol):
    """What the page needs: `journeys.send.Send`."""

    async def view(self, token: str) -> BroadcastView | LinkDead: ...

    async def act(
        self, token: str, action: Action, *, pin: str, seen: str
    ) -> BroadcastView | ActionRefused | LinkDead: ...


class SendPages:
    """The page of a broadcast."""

    def __init__(self, *, send: SendJourney, views: Views) -> None:
        self._send = send
        self._views = views

    def routes(self) -> list[Route]:
        """The one page of sending."""
        return [page("/send/{token}", self.view, self.act)]

    async def view(self, request: Request) -> Response:
        """How the broadcast stands."""
        return await self._page(request, None)

    async def act(self, request: Request) -> Response:
        """What its sender pressed."""
        fields = await forms.fields_of(request)
        action = _action_of(fields.get("action", ""))
        outcome = await self._send.act(
            token_of(request), action, pin=fields.get("pin", "").strip(), seen=fields.get("seen", "")
        )
        if isinstance(outcome, BroadcastView):
            return see_other(self._views.staff, "send", token_of(request))
        return await self._page(request, outcome)

    async def _page(self, request: Request, outcome: ActionRefused | LinkDead | None) -> Response:
        view = outcome if isinstance(outcome, LinkDead) else await self._send.view(token_of(request))
        if isinstance(view, LinkDead):
            return self._views.dead("send", view.reason, self._views.staff)
        refused = outcome if isinstance(outcome, ActionRefused) else None
        return self._views.page(
            "send",
            self._views.staff,
            status=200 if refused is None else _REFUSED_STATUS[refused.reason],
            headers={"Retry-After": str(refused.wait_s)} if refused is not None and refused.wait_s else None,
            token=token_of(request),
            view=view,
            kind_words=TAG[view.kind],
            counts={state.value: view.counts.get(state, 0) for state in delivery.State} if view.counts else {},
            actions=actions_in(view.state),
            over=view.state in broadcast.TERMINAL,
            refused=refused,
            pin_fault=refused is not None and refused.reason.startswith("pin_"),
        )


def actions_in(state: State) -> tuple[Action, ...]:
    """The actions that a broadcast in this state allows."""
    return tuple(action for action, event in _ACTIONS.items() if broadcast.move(state, event) is not None)


def _action_of(text: str) -> Action:
    for action in get_args(Action):
        if action == text:
            return action  # type: ignore[no-any-return]  # get_args does not know that it returns the literals
    raise HTTPException(400)

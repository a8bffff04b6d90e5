"""Logging in and out, and whoever cannot: a link for a new password, a change taken back.

An unknown ID and a wrong password are one answer. Asking for a password link is answered alike whether there is such an ID or not. The
links of mails carry their right alone, so their forms need no cookie; only a button that changes something is a POST, and it is answered
with 303. Whoever scanned the wrong QR code lands on the login page, which says so.
"""

from typing import Final, Protocol, assert_never

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from mailgate.core.registration import Fault
from mailgate.journeys.keep import LoggedIn, LoginRefused, Undone, UndoView
from mailgate.journeys.links import LinkDead
from mailgate.journeys.shown import Client
from mailgate.web import forms
from mailgate.web.routes import one_of, page, see_other, token_of
from mailgate.web.security import Clients
from mailgate.web.session import Cookies, is_ours, ticket
from mailgate.web.views import Views

LOGIN_NEWS: Final = ("password", "out")
RESET_NEWS: Final = ("undone", "no_place")


class LoginJourney(Protocol):
    """What these pages need: `journeys.keep.Keep`."""

    async def login(
        self, *, login_id: str, password: str, client: Client, previous: str = ""
    ) -> LoggedIn | LoginRefused: ...

    async def logout(self, session: str) -> None: ...

    async def forgot(self, login_id: str, *, client: Client) -> None: ...

    async def reset_view(self, token: str) -> str | LinkDead: ...

    async def reset(self, token: str, new: str, *, client: Client) -> Fault | LinkDead | bool: ...

    async def undo_view(self, token: str) -> UndoView | LinkDead: ...

    async def undo(self, token: str) -> Undone | LinkDead: ...


class LoginSpeech(Protocol):
    """What knows the readers' languages: `journeys.speech.Speech`."""

    async def of_reset(self, token: str) -> str | None: ...

    async def of_undo(self, token: str) -> str | None: ...


class LoginPages:
    """Login, logout, and the ways back in."""

    def __init__(
        self, *, keep: LoginJourney, speech: LoginSpeech, views: Views, clients: Clients, cookies: Cookies
    ) -> None:
        self._keep = keep
        self._speech = speech
        self._views = views
        self._clients = clients
        self._cookies = cookies

    def routes(self) -> list[Route]:
        """The pages before the login."""
        return [
            page("/login", self.show, self.login),
            page("/logout", self.show_logout, self.logout),
            page("/forgot", self.show_forgot, self.forgot),
            page("/reset/{token}", self.show_reset, self.reset),
            page("/undo/{token}", self.show_undo, self.undo),
        ]

    async def show(self, request: Request) -> Response:
        """The form."""
        news = one_of(request, "news", LOGIN_NEWS)
        return self._views.page("login", self._views.tongue(request), news=news, typed="", faults={}, wait_s=0)

    async def login(self, request: Request) -> Response:
        """Take it."""
        fields = await forms.fields_of(request)
        login_id, password = fields.get("login_id", ""), fields.get("password", "")
        blank = {name: "missing" for name in ("login_id", "password") if not fields.get(name, "").strip()}
        if blank:
            return self._refused(request, login_id, blank)
        outcome = await self._keep.login(
            login_id=login_id,
            password=password,
            client=self._client(request),
            previous=self._cookies.session_of(request),
        )
        if isinstance(outcome, LoginRefused):
            reason = "wait" if outcome.wait_s else "wrong_login"
            return self._refused(request, login_id, {"login_id": reason}, outcome.wait_s)
        tongue = self._views.tongue(request)
        answer = see_other(tongue, "me", "password") if outcome.set_password else see_other(tongue, "me")
        return self._cookies.begin(answer, session=outcome.session, browser=outcome.browser)

    async def show_logout(self, request: Request) -> Response:
        """The button alone, for whoever typed the address."""
        session = self._cookies.session_of(request)
        tongue = self._views.tongue(request)
        if not session:
            return see_other(tongue, "login")
        return self._views.page("logout", tongue, ticket=ticket(session))

    async def logout(self, request: Request) -> Response:
        """End the login."""
        fields = await forms.fields_of(request)
        session = self._cookies.session_of(request)
        tongue = self._views.tongue(request)
        if session:
            if not is_ours(fields, session):
                return self._views.page("stale", tongue, status=403)
            await self._keep.logout(session)
        return self._cookies.end(see_other(tongue, "login", news="out"))

    async def show_forgot(self, request: Request) -> Response:
        """Which ID?"""
        tongue = self._views.tongue(request)
        if one_of(request, "news", ("sent",)):
            return self._views.page("forgot_sent", tongue)
        return self._views.page("forgot", tongue, typed="", faults={})

    async def forgot(self, request: Request) -> Response:
        """Ask for the link."""
        typed = (await forms.fields_of(request)).get("login_id", "")
        tongue = self._views.tongue(request)
        if not typed.strip():
            return self._views.page("forgot", tongue, status=422, typed="", faults={"login_id": "missing"})
        await self._keep.forgot(typed, client=self._client(request))
        return see_other(tongue, "forgot", news="sent")

    async def show_reset(self, request: Request) -> Response:
        """The form for a new password."""
        return await self._reset(request)

    async def reset(self, request: Request) -> Response:
        """Set it."""
        new = (await forms.fields_of(request)).get("password", "")
        outcome = await self._keep.reset(token_of(request), new, client=self._client(request))
        match outcome:
            case Fault():
                return await self._reset(request, outcome)
            case LinkDead():
                return self._views.dead("reset", outcome.reason, self._views.tongue(request))
            case bool():
                answer = see_other(self._views.tongue(request), "login", news="password")
                return self._cookies.end(answer)
            case _:
                assert_never(outcome)

    async def show_undo(self, request: Request) -> Response:
        """What would be taken back."""
        view = await self._keep.undo_view(token_of(request))
        tongue = self._views.tongue(request, await self._speech.of_undo(token_of(request)))
        if isinstance(view, LinkDead):
            return self._views.dead("undo", view.reason, tongue)
        return self._views.page("undo", tongue, view=view, token=token_of(request))

    async def undo(self, request: Request) -> Response:
        """Take it back; a new password is asked for at once, since the old one is known to somebody else."""
        await forms.body_of(request)  # bounded; there is nothing in it to look at
        done = await self._keep.undo(token_of(request))
        tongue = self._views.tongue(request)
        if isinstance(done, LinkDead):
            return self._views.dead("undo", done.reason, tongue)
        if done.reset_token is None:
            return see_other(tongue, "undo", token_of(request))
        return see_other(tongue, "reset", done.reset_token, news="undone" if done.restored else "no_place")

    async def _reset(self, request: Request, fault: Fault | None = None) -> Response:
        login_id = await self._keep.reset_view(token_of(request))
        tongue = self._views.tongue(request, await self._speech.of_reset(token_of(request)))
        if isinstance(login_id, LinkDead):
            return self._views.dead("reset", login_id.reason, tongue)
        return self._views.page(
            "reset",
            tongue,
            status=200 if fault is None else 422,
            login_id=login_id,
            faults={} if fault is None else {"password": fault},
            news=one_of(request, "news", RESET_NEWS),
            token=token_of(request),
        )

    def _refused(self, request: Request, typed: str, faults: dict[str, str], wait_s: int = 0) -> Response:
        return self._views.page(
            "login",
            self._views.tongue(request),
            status=429 if wait_s else 422,
            headers={"Retry-After": str(wait_s)} if wait_s else None,
            news="",
            typed=typed,
            faults=faults,
            wait_s=wait_s,
        )

    def _client(self, request: Request) -> Client:
        return Client(self._clients.network_of(request), self._cookies.browser_of(request))

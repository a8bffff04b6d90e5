"""Sessions: two cookies, and the token that every form of `/me` carries beside them.

One cookie is a login and ends with the browser; the other, kept for a year, only says "this browser logged in before", so that a stranger's
wrong passwords do not make its owner wait (MR-79). Both are `__Host-`, Secure and HttpOnly; on a loopback http address, where a browser
refuses such cookies, they have plain names. SameSite=Lax keeps them out of other sites' forms.

The token in a form is an HMAC of the login's secret: nobody who cannot read the cookie can write it, a new login makes a new one, and there
is nothing to store. It is asked for besides the Origin (`security`).
"""

import hmac
import re
from typing import Final
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import Response

FIELD: Final = "ticket"
_KNOWN_FOR_S: Final = 400 * 24 * 3600  # browsers keep no cookie longer (RFC 6265bis, 5.5)
_SECRET: Final = re.compile(r"[A-Za-z0-9_-]{16,128}")


class Cookies:
    """Reads and sets our two cookies."""

    def __init__(self, public_url: str) -> None:
        self._secure = urlsplit(public_url).scheme == "https"
        prefix = "__Host-" if self._secure else ""
        self.session_name: Final = f"{prefix}login"
        self.browser_name: Final = f"{prefix}known"

    def session_of(self, request: Request) -> str:
        """The secret of the login that a browser claims; "" if it claims none."""
        return _secret(request, self.session_name)

    def browser_of(self, request: Request) -> bytes | None:
        """What a browser got when it logged in before."""
        return _secret(request, self.browser_name).encode("ascii") or None

    def begin(self, answer: Response, *, session: str, browser: str) -> Response:
        """Let a login begin."""
        self._set(answer, self.session_name, session)
        self._set(answer, self.browser_name, browser, max_age=_KNOWN_FOR_S)
        return answer

    def end(self, answer: Response) -> Response:
        """Let a login end; the browser stays known."""
        self._set(answer, self.session_name, "", max_age=0)
        return answer

    def _set(self, answer: Response, name: str, value: str, *, max_age: int | None = None) -> None:
        answer.set_cookie(
            name, value, max_age=max_age, path="/", secure=self._secure, httponly=True, samesite="lax"
        )


def ticket(session: str) -> str:
    """What the forms of a login carry."""
    return hmac.digest(session.encode("ascii"), b"mailgate form", "sha256").hex()[:32]


def is_ours(fields: dict[str, str], session: str) -> bool:
    """Whether a form was made for this login."""
    return hmac.compare_digest(fields.get(FIELD, "").encode("utf-8", "replace"), ticket(session).encode("ascii"))


def _secret(request: Request, name: str) -> str:
    value = request.cookies.get(name, "")
    return value if _SECRET.fullmatch(value) else ""

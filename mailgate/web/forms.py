"""Forms: what a POST carries, read within bounds and with the standard library alone.

Only `application/x-www-form-urlencoded` is taken (MR-80), at most 16 kB, at most 64 fields, strict UTF-8. What is refused becomes a page:
413 too large, 415 another type, 400 unreadable, 408 too slow. A body over the limit is not read to its end: up to a bound it is read and
thrown away, so that the sender gets to see the answer, and then the connection ends (`security.Edge` sees to that).

The one exception is a mail provider that presses "unsubscribe" for its user (RFC 8058 §3.2): it should send multipart/form-data, so the one
field that makes that request is looked for in either form, and nothing else is.
"""

import asyncio
from dataclasses import dataclass
from typing import Final
from urllib.parse import parse_qsl

from starlette.exceptions import HTTPException
from starlette.requests import Request

MAX_OCTETS: Final = 16 * 1024
MAX_FIELDS: Final = 64
# What is over the limit is read and thrown away up to here. More than that no browser of a person sends by mistake.
MAX_DISCARDED: Final = 256 * 1024
READ_TIMEOUT_S: Final = 20.0

URLENCODED: Final = "application/x-www-form-urlencoded"
MULTIPART: Final = "multipart/form-data"


@dataclass(frozen=True, slots=True)
class Body:
    """What was posted. Not shown: there may be a password in it."""

    media_type: str
    octets: bytes

    def __repr__(self) -> str:
        return "Body(***)"


async def body_of(request: Request, *, timeout_s: float = READ_TIMEOUT_S) -> Body:
    """The whole body of a request.

    Raises:
        HTTPException: 413 if it is too large, 408 if it does not come.
    """
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    try:
        async with asyncio.timeout(timeout_s):
            return Body(media_type, await _octets(request))
    except TimeoutError:
        raise HTTPException(408) from None


async def fields_of(request: Request) -> dict[str, str]:
    """The fields of a posted form; of a field that came several times, the first."""
    return read_fields(await body_of(request))


def read_fields(body: Body) -> dict[str, str]:
    """The fields in a body.

    Raises:
        HTTPException: 415 if it is no urlencoded form, 400 if it cannot be read as one.
    """
    if not body.octets:  # a button alone, or a program that has nothing to say
        return {}
    if body.media_type != URLENCODED:
        raise HTTPException(415)
    try:
        pairs = parse_qsl(
            body.octets.decode("utf-8"), keep_blank_values=True, errors="strict", max_num_fields=MAX_FIELDS
        )
    except ValueError:  # UnicodeDecodeError among them
        raise HTTPException(400) from None
    return dict(reversed(pairs))


def is_one_click(body: Body) -> bool:
    """Whether a mail provider asks to stop in its user's name (RFC 8058 §3.1)."""
    match body.media_type:
        case "application/x-www-form-urlencoded":
            return body.octets.strip().lower() == b"list-unsubscribe=one-click"
        case "multipart/form-data":
            return b'name="List-Unsubscribe"' in body.octets and b"One-Click" in body.octets
        case _:
            return False


async def _octets(request: Request) -> bytes:
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and int(declared[:12]) > MAX_DISCARDED:
        raise HTTPException(413)
    kept = bytearray()
    came = 0
    async for chunk in request.stream():
        came += len(chunk)
        if came <= MAX_OCTETS:
            kept += chunk
        elif came > MAX_DISCARDED:
            break
    if came > MAX_OCTETS:
        raise HTTPException(413)
    return bytes(kept)

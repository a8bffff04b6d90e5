"""What a POST carries is read within bounds."""

import asyncio
from collections.abc import Iterable
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.types import Message

from mailgate.web.forms import (
    MAX_DISCARDED,
    MAX_FIELDS,
    MAX_OCTETS,
    URLENCODED,
    Body,
    body_of,
    is_one_click,
    read_fields,
)
from tests.web.fakes import TOKEN, Site

NEW = f"/j/{TOKEN}/new"


def a_request(chunks: Iterable[bytes], **headers: str) -> tuple[Request, list[bytes]]:
    """A request and, as it is read, what was taken of its body."""
    taken: list[bytes] = []
    waiting = iter(chunks)

    async def receive() -> Message:
        chunk = next(waiting, None)
        if chunk is None:
            return {"type": "http.request", "body": b"", "more_body": False}
        taken.append(chunk)
        return {"type": "http.request", "body": chunk, "more_body": True}

    raw = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return Request({"type": "http", "method": "POST", "headers": raw}, receive), taken


def a_body(octets: bytes, media_type: str = URLENCODED) -> Body:
    return Body(media_type, octets)


async def test_a_form_of_the_greatest_size_is_read() -> None:
    request, _ = a_request([b"a=", b"x" * (MAX_OCTETS - 2)], content_type=f"{URLENCODED}; charset=UTF-8")
    body = await body_of(request)
    assert (body.media_type, len(body.octets)) == (URLENCODED, MAX_OCTETS)


@pytest.mark.parametrize("chunk", [1, 1000, MAX_OCTETS + 1])
async def test_one_octet_more_is_refused(chunk: int) -> None:
    octets = b"x" * (MAX_OCTETS + 1)
    request, _ = a_request(octets[start : start + chunk] for start in range(0, len(octets), chunk))
    with pytest.raises(HTTPException) as refused:
        await body_of(request)
    assert refused.value.status_code == 413


async def test_an_endless_body_is_not_read_to_its_end() -> None:
    request, taken = a_request(b"x" * 1024 for _ in range(1_000_000))
    with pytest.raises(HTTPException):
        await body_of(request)
    assert sum(map(len, taken)) <= MAX_DISCARDED + 1024


@pytest.mark.parametrize("length", [str(MAX_DISCARDED + 1), "9" * 400])
async def test_what_announces_itself_as_far_too_large_is_not_read_at_all(length: str) -> None:
    request, taken = a_request([b"x"], content_length=length)
    with pytest.raises(HTTPException) as refused:
        await body_of(request)
    assert (refused.value.status_code, taken) == (413, [])


async def test_a_body_that_does_not_come_is_not_waited_for() -> None:
    async def never() -> Message:
        await asyncio.Event().wait()
        raise AssertionError

    request = Request({"type": "http", "method": "POST", "headers": []}, never)
    with pytest.raises(HTTPException) as refused:
        await body_of(request, timeout_s=0.01)
    assert refused.value.status_code == 408


@pytest.mark.parametrize(
    "content_type, body, status",
    [
        (URLENCODED, b"x" * (MAX_OCTETS + 1), 413),
        ("multipart/form-data; boundary=x", b"--x--", 415),
        ("application/json", b"{}", 415),
        ("text/plain", b"code=1", 415),
        ("", b"code=1", 415),
        (URLENCODED, b"name=%FF", 400),
        (URLENCODED, b"name=\xff", 400),
        (URLENCODED, b"name=%ED%A0%80", 400),
        (URLENCODED, b"&".join([b"a=1"] * (MAX_FIELDS + 1)), 400),
        (URLENCODED, b"", 422),
        ("", b"", 422),
    ],
)
async def test_what_is_no_form_is_refused_with_a_page(site: Site, content_type: str, body: bytes, status: int) -> None:
    answer = await site.client().post(NEW, content=body, headers={"content-type": content_type})
    assert answer.status_code == status
    assert '<html lang="ja">' in answer.text


@given(st.dictionaries(st.text(max_size=20), st.text(max_size=40), max_size=20))
def test_what_a_browser_encodes_is_read_back(fields: dict[str, str]) -> None:
    try:
        octets = urlencode(fields).encode("ascii")
    except UnicodeEncodeError:  # a lone surrogate cannot be sent
        return
    assert read_fields(a_body(octets)) == fields


@given(st.binary(max_size=400))
def test_any_octets_are_fields_or_a_refusal(octets: bytes) -> None:
    try:
        fields = read_fields(a_body(octets))
    except HTTPException as refused:
        assert refused.status_code == 400  # noqa: PT017  # one of two good ends
    else:
        assert all(isinstance(value, str) for value in fields.values())


def test_text_that_was_not_encoded_is_read_all_the_same() -> None:
    assert read_fields(a_body("name=山田 花子&kana=".encode())) == {"name": "山田 花子", "kana": ""}


def test_of_a_field_that_came_twice_the_first_is_taken() -> None:
    assert read_fields(a_body(b"a=1&b=2&a=3")) == {"a": "1", "b": "2"}


def test_a_body_does_not_show_what_is_in_it() -> None:
    assert repr(a_body(b"password=kumo-to-ame")) == "Body(***)"


@pytest.mark.parametrize(
    "media_type, octets, expected",
    [
        (URLENCODED, b"List-Unsubscribe=One-Click", True),
        (URLENCODED, b"list-unsubscribe=one-click", True),
        (URLENCODED, b"action=pause", False),
        (URLENCODED, b"", False),
        (URLENCODED, b"x=List-Unsubscribe=One-Click", False),
        ("multipart/form-data", b'name="List-Unsubscribe"\r\n\r\nOne-Click', True),
        ("multipart/form-data", b'name="action"\r\n\r\nOne-Click', False),
        ("text/plain", b"List-Unsubscribe=One-Click", False),
    ],
)
def test_a_one_click_stop_is_known_by_its_one_field(media_type: str, octets: bytes, *, expected: bool) -> None:
    assert is_one_click(a_body(octets, media_type)) is expected

"""The server on a real socket: no signals, no log of requests, no patience without end."""

import asyncio
import logging
import signal
import socket
from collections.abc import AsyncIterator

import httpx
import pytest
import pytest_asyncio
from starlette.responses import PlainTextResponse
from starlette.types import Receive, Scope, Send

from mailgate.web.server import MAX_HEAD_OCTETS, WebServer
from tests.web.fakes import TOKEN, Site


@pytest_asyncio.fixture
async def port() -> AsyncIterator[int]:
    """The pages on a port of the loopback."""
    server = WebServer(Site(public_url="http://127.0.0.1:8080").app, patience_s=1)
    yield await server.start("127.0.0.1", 0)
    await server.stop(1)


async def talk(port: int, *parts: bytes) -> bytes:
    """What the server says to these octets until it hangs up."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for part in parts:
        writer.write(part)
        await writer.drain()
    try:
        async with asyncio.timeout(10):
            return await reader.read()
    finally:
        writer.close()
        await writer.wait_closed()


async def test_the_pages_are_served_without_a_word_about_the_server(port: int) -> None:
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
        answer = await client.get("/")
        assert answer.status_code == 200
        assert "server" not in answer.headers
        assert len(answer.headers.get_list("date")) == 1
        assert (await client.post("/", data={"short_code": "12345678"})).headers["location"] == f"/j/{TOKEN}"


async def test_signals_stay_with_the_process() -> None:
    before = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
    server = WebServer(Site().app)
    await server.start("127.0.0.1", 0)
    assert (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)) == before
    await server.stop(0)
    assert (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)) == before


async def test_no_token_is_logged(port: int, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
        await client.get(f"/j/{TOKEN}")
        await client.get(f"/j/{TOKEN}/attic")
    ours = [record.getMessage() for record in caplog.records if not record.name.startswith(("httpx", "httpcore"))]
    assert TOKEN not in "".join(ours)


async def test_a_port_that_is_taken_is_an_oserror(port: int) -> None:
    with pytest.raises(OSError, match="in use"):
        await WebServer(Site().app).start("127.0.0.1", port)


async def test_it_listens_on_ipv6_too() -> None:
    if not socket.has_ipv6:
        pytest.skip("no IPv6 here")
    server = WebServer(Site().app)
    try:
        port = await server.start("::1", 0)
    except OSError:
        pytest.skip("no IPv6 loopback here")
    async with httpx.AsyncClient(base_url=f"http://[::1]:{port}") as client:
        assert (await client.get("/healthz")).text == "ok\n"
    await server.stop(1)


@pytest.mark.parametrize(
    "begun", [b"", b"GET / HTTP/1.1\r\n", b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\nGET /"]
)
async def test_who_does_not_send_a_whole_head_is_hung_up_on(port: int, begun: bytes) -> None:
    said = await talk(port, begun)
    assert said.count(b"HTTP/1.1 200") == begun.count(b"healthz")


async def test_who_sends_a_head_octet_by_octet_is_hung_up_on(port: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    hung_up = asyncio.ensure_future(reader.read())
    for octet in b"GET / HTTP/1.1\r\nX: " + b"x" * 1000:
        if hung_up.done():
            break
        writer.write(bytes([octet]))
        await asyncio.wait({hung_up}, timeout=0.05)
    assert hung_up.done()
    writer.close()


async def test_a_body_that_nobody_wants_is_not_read_to_its_end(port: int) -> None:
    head = b"POST /attic HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
    _reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(head)
    sent = 0
    try:
        for _ in range(3_000):
            writer.write(b"10000\r\n" + b"x" * 65_536 + b"\r\n")
            sent += 65_536
            await writer.drain()
    except ConnectionError:
        pass
    assert sent < 100_000_000
    writer.close()


async def test_a_form_a_little_too_large_is_answered_and_not_cut_off(port: int) -> None:
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
        for octets in (20_000, 200_000):
            answer = await client.post("/", data={"short_code": "x" * octets})
            assert answer.status_code == 413
            assert "大きすぎます" in answer.text


async def test_who_asks_before_sending_too_much_is_told_before(port: int) -> None:
    said = await talk(
        port, b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999\r\nExpect: 100-continue\r\n\r\n"
    )
    assert said.startswith(b"HTTP/1.1 413")


async def test_a_head_without_end_is_refused(port: int) -> None:
    said = await talk(port, b"GET / HTTP/1.1\r\nX: " + b"x" * (MAX_HEAD_OCTETS + 1))
    assert said.startswith(b"HTTP/1.1 4")


async def test_a_stop_lets_open_requests_end() -> None:
    entered, go_on = asyncio.Event(), asyncio.Event()

    async def slow(scope: Scope, receive: Receive, send: Send) -> None:
        entered.set()
        await go_on.wait()
        await PlainTextResponse("done")(scope, receive, send)

    server = WebServer(slow)
    port = await server.start("127.0.0.1", 0)
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
        answer = asyncio.ensure_future(client.get("/"))
        await entered.wait()
        stopping = asyncio.ensure_future(server.stop(5))
        await asyncio.sleep(0)
        go_on.set()
        assert (await answer).text == "done"
        await stopping
        with pytest.raises(httpx.ConnectError):
            await client.get("/")


async def test_a_stop_does_not_wait_longer_than_it_was_told() -> None:
    entered = asyncio.Event()

    async def stuck(scope: Scope, receive: Receive, send: Send) -> None:
        entered.set()
        await asyncio.Event().wait()

    server = WebServer(stuck)
    port = await server.start("127.0.0.1", 0)
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
        answer = asyncio.ensure_future(client.get("/"))
        await entered.wait()
        async with asyncio.timeout(10):
            await server.stop(1)
        with pytest.raises(httpx.RemoteProtocolError):
            await answer

"""What holds for every page: headers, hosts, origins, methods, bodies, faults, tries."""

import asyncio
import re
from collections.abc import Iterator, Mapping

import httpx
import pytest
import structlog
from starlette.datastructures import Headers
from starlette.requests import HTTPConnection, Request
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mailgate.core.instants import HOUR, MINUTE, SECOND, later
from mailgate.core.limits import Bucket
from mailgate.web.security import CODE_TRIES_OF_A_NETWORK, CODE_TRIES_OVER_ALL, Clients, Edge, Policy, Refused, Tries
from mailgate.web.views import PROBLEMS
from tests.fakes import NEW_YEAR_2026, FakeClock
from tests.web.fake_keep import OLD_TOKEN, RESET_TOKEN, UNDO_TOKEN
from tests.web.fakes import (
    COPY_TOKEN,
    EXPIRED_TOKEN,
    GOOD_FORM,
    LETTER_TOKEN,
    OTHER_TOKEN,
    STOP_TOKEN,
    TOKEN,
    Site,
    a_view,
)
from tests.web.people import OWNER, PASSWORD

PATHS = (
    "/",
    "/help/",
    "/help/docomo",
    "/help/faq",
    "/privacy",
    "/login",
    "/logout",
    "/forgot",
    "/withdrawn",
    f"/reset/{RESET_TOKEN}",
    "/reset/unknown",
    f"/undo/{UNDO_TOKEN}",
    f"/undo/{OLD_TOKEN}",
    "/me",
    "/me/child",
    "/me/password",
    "/me/language",
    "/me/contact/c1",
    "/me/withdraw",
    "/me/held",
    "/healthz",
    "/app.css",
    f"/j/{TOKEN}",
    f"/j/{TOKEN}/new",
    f"/j/{TOKEN}/add",
    f"/j/{TOKEN}/replace",
    f"/j/{TOKEN}/done",
    f"/j/{OTHER_TOKEN}",
    f"/j/{EXPIRED_TOKEN}",
    f"/k/{COPY_TOKEN}",
    f"/k/{LETTER_TOKEN}",
    "/k/unknown",
    f"/send/{TOKEN}",
    f"/send/{OTHER_TOKEN}",
    f"/send/{EXPIRED_TOKEN}",
    f"/stop/{STOP_TOKEN}",
    "/stop/unknown",
    "/attic",
    "/help",
)
CSP = {
    "default-src": "'none'",
    "style-src": "'self'",
    "img-src": "'self'",
    "form-action": "'self'",
    "frame-ancestors": "'none'",
    "base-uri": "'none'",
}


def assert_guarded(answer_headers: Mapping[str, str], *, https: bool = True) -> None:
    policy = dict(part.strip().split(" ", 1) for part in answer_headers["content-security-policy"].split(";"))
    assert policy == CSP
    assert answer_headers["referrer-policy"] == "no-referrer"
    assert answer_headers["x-content-type-options"] == "nosniff"
    assert answer_headers["date"] == "Wed, 31 Dec 2025 15:00:00 GMT"
    assert ("strict-transport-security" in answer_headers) == https
    assert "server" not in answer_headers
    assert "access-control-allow-origin" not in answer_headers
    if answer_headers["content-type"] != "text/css; charset=utf-8":
        assert answer_headers["cache-control"] == "no-store"


@pytest.mark.parametrize("path", PATHS)
async def test_every_answer_carries_the_headers(site: Site, path: str) -> None:
    for method in ("GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "TRACE"):
        answer = await site.client().request(method, path)
        if "content-type" in answer.headers:  # a redirect has none
            assert_guarded(answer.headers)


@pytest.mark.parametrize("path", PATHS)
async def test_head_is_get_without_a_body(site: Site, path: str) -> None:
    got, head = await site.get(path), await site.client().head(path)
    assert (head.status_code, dict(head.headers), head.content) == (got.status_code, dict(got.headers), b"")


def links_of(html: str) -> Iterator[str]:
    yield from re.findall(r'(?:href|action|src)="(/[^"#]*)(?:#[^"]*)?"', html)


async def test_a_crawl_meets_no_dead_end(site: Site) -> None:
    await site.post(f"/j/{TOKEN}/new", GOOD_FORM)
    async with site.client() as client:
        await client.post("/login", data={"login_id": OWNER, "password": PASSWORD})
        waiting, seen = list(PATHS), set[str]()
        while waiting:
            path = waiting.pop().replace("&amp;", "&")
            if path in seen:
                continue
            seen.add(path)
            page = await client.get(path)
            if path not in PATHS:  # what a page of ours links to is there
                assert page.status_code == 200, path
            if page.headers.get("content-type", "").startswith("text/html"):
                assert_guarded(page.headers)
                waiting += links_of(page.text)
    assert len(seen) > len(PATHS)


async def test_without_https_nothing_is_said_of_transport_security() -> None:
    plain = Site(public_url="http://127.0.0.1:8080")
    assert_guarded((await plain.get("/")).headers, https=False)


async def test_the_style_sheet_may_be_kept_because_its_address_changes_with_it(site: Site) -> None:
    page = (await site.get("/")).text
    address = re.search(r'href="(/app\.css\?v=[0-9a-f]{8})"', page)
    assert address is not None
    css = await site.get(address[1])
    assert css.headers["cache-control"] == "public, max-age=86400"
    assert len(css.content) < 4_500


# Hosts and origins


@pytest.mark.parametrize(
    "host, status",
    [
        ("touroku.example.jp", 200),
        ("TOUROKU.example.jp.:443", 200),
        ("localhost:8080", 200),
        ("127.0.0.1", 200),
        ("[::1]:8080", 200),
        ("evil.example", 400),
        ("touroku.example.jp.evil.example", 400),
        ("touroku.example.jp@evil.example", 400),
        ("", 400),
    ],
)
async def test_only_our_own_names_are_answered(site: Site, host: str, status: int) -> None:
    answer = await site.get("/", Host=host)
    assert answer.status_code == status
    assert_guarded(answer.headers)
    assert "evil" not in answer.text


@pytest.mark.parametrize(
    "headers, status",
    [
        ({}, 303),
        ({"Origin": "https://touroku.example.jp"}, 303),
        ({"Origin": "http://127.0.0.1:8080", "Host": "127.0.0.1:8080"}, 303),
        ({"Origin": "null"}, 303),
        ({"Origin": "null", "Sec-Fetch-Site": "same-origin"}, 303),
        ({"Origin": "null", "Sec-Fetch-Site": "none"}, 303),
        ({"Origin": "null", "Sec-Fetch-Site": "cross-site"}, 403),
        ({"Origin": "null", "Sec-Fetch-Site": "same-site"}, 403),
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "http://touroku.example.jp"}, 403),
        ({"Origin": "https://touroku.example.jp:8443"}, 403),
        ({"Origin": "http://127.0.0.1:9999", "Host": "127.0.0.1:8080"}, 403),
        ({"Origin": "http://evil.example", "Host": "127.0.0.1:8080"}, 403),
    ],
)
async def test_another_sites_page_cannot_press_our_buttons(site: Site, headers: dict[str, str], status: int) -> None:
    answer = await site.client().post(f"/k/{COPY_TOKEN}", headers=headers)
    assert answer.status_code == status
    assert (site.reach.copies[COPY_TOKEN].confirmed_at is not None) == (status == 303)


async def test_a_foreign_origin_may_look(site: Site) -> None:
    assert (await site.get("/", Origin="https://evil.example")).status_code == 200


@pytest.mark.parametrize(
    "url, origin",
    [
        ("https://a.example", "https://a.example"),
        ("https://A.example:443", "https://a.example"),
        ("https://a.example:8443", "https://a.example:8443"),
        ("http://127.0.0.1:80", "http://127.0.0.1"),
        ("http://127.0.0.1:8080", "http://127.0.0.1:8080"),
    ],
)
def test_an_origin_is_spelt_as_browsers_spell_it(url: str, origin: str) -> None:
    assert not Policy(url).is_foreign(Headers({"origin": origin, "host": "elsewhere.example"}))


# Methods and paths


@pytest.mark.parametrize("path", [path for path in PATHS if path not in {"/attic", "/help"}])
async def test_a_wrong_method_is_a_page_that_names_the_right_ones(site: Site, path: str) -> None:
    answer = await site.client().delete(path)
    assert answer.status_code == 405
    assert answer.headers["allow"] in ("GET, HEAD", "GET, HEAD, POST")
    assert "この開き方はできません" in answer.text


@pytest.mark.parametrize(
    "path", ["/attic", "/j/", "/j", "/send/", f"/j/{TOKEN}/", f"/j/{TOKEN}/new/more", "/%00", "/あ", "/.git/config"]
)
async def test_an_unknown_path_is_a_page(site: Site, path: str) -> None:
    answer = await site.get(path)
    assert answer.status_code == 404
    assert "ページが見つかりません" in answer.text
    assert len({answer.content, (await site.get("/attic")).content}) == 1


async def test_health_is_told_in_a_word(site: Site) -> None:
    answer = await site.get("/healthz")
    assert (answer.status_code, answer.text) == (200, "ok\n")


# Our own faults


class Stumbling:
    """A journey that fails with a secret on its lips."""

    async def landing(self, token: str) -> object:
        raise RuntimeError(f"no such row for taro@docomo.ne.jp {token}")


async def test_a_fault_of_ours_is_a_page_with_what_to_do_and_one_log_event(site: Site) -> None:
    site.join.landing = Stumbling().landing  # type: ignore[method-assign, assignment]  # the fault
    with structlog.testing.capture_logs() as logged:
        answer = await site.get(f"/j/{TOKEN}")
    assert answer.status_code == 500
    assert_guarded(answer.headers)
    for words in ("申し訳ありません", "もう一度お試しください", "0120-000-000"):
        assert words in answer.text
    for secret in ("RuntimeError", "docomo", "Traceback", TOKEN):
        assert secret not in answer.text
    (event,) = logged
    assert (event["event"], event["page"], event["log_level"]) == ("web.fault_caught", "/j/{token}", "error")
    assert event["fault"].startswith("RuntimeError in Stumbling.landing:")
    assert "docomo" not in str(event)
    assert TOKEN not in str(event)


async def test_after_a_fault_the_next_request_is_served(site: Site) -> None:
    site.join.landing = Stumbling().landing  # type: ignore[method-assign, assignment]  # the fault
    await site.get(f"/j/{TOKEN}")
    assert (await site.get("/")).status_code == 200


def an_edge(app: ASGIApp, site: Site, *, max_open: int = 10) -> httpx.AsyncClient:
    """A client of a bare application behind an edge."""
    edge = Edge(
        app, policy=Policy(site.public_url), problem=a_view().problem, clock=site.clock, max_open=max_open
    )
    return httpx.AsyncClient(transport=httpx.ASGITransport(app=edge), base_url=site.public_url)


async def test_a_fault_in_the_middle_of_an_answer_ends_it_there(site: Site) -> None:
    async def half(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        raise RuntimeError("too late for a page")

    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        sent.append(message)

    edge = Edge(half, policy=Policy(site.public_url), problem=a_view().problem, clock=site.clock)
    with structlog.testing.capture_logs() as logged:
        await edge({"type": "http", "method": "GET", "path": "/", "headers": [(b"host", b"localhost")]}, receive, send)
    assert [message["type"] for message in sent] == ["http.response.start"]
    assert [event["event"] for event in logged] == ["web.fault_caught"]


async def test_who_leaves_in_the_middle_of_a_form_is_no_fault(site: Site) -> None:
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "method": "POST",
        "path": f"/j/{TOKEN}/new",
        "query_string": b"",
        "headers": [(b"host", b"localhost"), (b"content-length", b"10")],
        "client": ("192.0.2.7", 1),
    }
    with structlog.testing.capture_logs() as logged:
        await site.app(scope, receive, send)
    assert (sent, logged) == ([], [])


async def test_what_is_no_request_passes_untouched(site: Site) -> None:
    passed: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        passed.append(scope["type"])

    async def receive() -> Message:
        raise AssertionError

    async def send(_message: Message) -> None:
        raise AssertionError

    edge = Edge(app, policy=Policy(site.public_url), problem=a_view().problem, clock=site.clock)
    await edge({"type": "lifespan"}, receive, send)
    assert passed == ["lifespan"]


async def test_beyond_what_can_be_served_at_once_people_are_asked_to_wait(site: Site) -> None:
    entered, go_on = asyncio.Event(), asyncio.Event()

    async def slow(scope: Scope, receive: Receive, send: Send) -> None:
        entered.set()
        await go_on.wait()
        await PlainTextResponse("done")(scope, receive, send)

    client = an_edge(slow, site, max_open=1)
    first = asyncio.ensure_future(client.get("/"))
    await entered.wait()
    second = await client.get("/")
    go_on.set()
    assert second.status_code == 503
    assert "混み合っています" in second.text
    assert_guarded(second.headers)
    assert (await first).text == "done"
    assert (await client.get("/")).status_code == 200


@pytest.mark.parametrize("language, words", [("ja", "ください"), ("easy", "ください"), ("en", " again")])
@pytest.mark.parametrize("status", PROBLEMS)
def test_every_refusal_has_a_page_that_says_what_to_do(status: int, language: str, words: str) -> None:
    request = HTTPConnection({"type": "http", "headers": [], "query_string": b"lang=" + language.encode()})
    page = a_view().problem(request, status)
    assert page.status_code == status
    text = bytes(page.body).decode()
    assert text.count("<h1>") == 1
    assert words in text


# Bodies


async def test_a_body_that_nobody_reads_ends_the_connection(site: Site) -> None:
    for answer in (
        await site.client().post("/attic", content=b"x" * 10),
        await site.client().request("GET", "/", content=b"x" * 10),
        await site.client().post("/", content=b"x" * 300_000),
    ):
        assert answer.headers["connection"] == "close"
    for answer in (await site.get("/"), await site.post("/attic"), await site.post("/", {"short_code": "1"})):
        assert "connection" not in answer.headers


# Who is there


def a_request(peer: str | None, *forwarded: str) -> Request:
    headers = [(b"x-forwarded-for", value.encode()) for value in forwarded]
    return Request({"type": "http", "headers": headers, "client": None if peer is None else (peer, 1)})


@pytest.mark.parametrize(
    "peer, forwarded, network",
    [
        ("192.0.2.7", [], "192.0.2.0/24"),
        ("192.0.2.7", ["203.0.113.9"], "192.0.2.0/24"),  # a client that says so of itself is not believed
        ("10.0.0.1", [], "10.0.0.0/24"),
        ("10.0.0.1", ["203.0.113.9"], "203.0.113.0/24"),
        ("::ffff:10.0.0.1", ["203.0.113.9"], "203.0.113.0/24"),
        ("10.0.0.1", ["198.51.100.1, 203.0.113.9"], "203.0.113.0/24"),
        ("10.0.0.1", ["198.51.100.1", "203.0.113.9, 10.0.0.2"], "203.0.113.0/24"),
        ("10.0.0.1", ["10.0.0.3, 10.0.0.2"], "10.0.0.0/24"),
        ("10.0.0.1", ["2001:db8:1:2:3:4:5:6"], "2001:db8:1:2::/64"),
        ("10.0.0.1", ["unknown"], "unknown"),
        ("10.0.0.1", ["198.51.100.1, unknown"], "unknown"),
        (None, ["203.0.113.9"], ""),
    ],
)
def test_a_client_is_the_peer_or_whom_our_proxy_names(peer: str | None, forwarded: list[str], network: str) -> None:
    assert Clients(("10.0.0.0/24", "fd00::/8")).network_of(a_request(peer, *forwarded)) == network


# Tries


async def test_guessing_codes_from_one_network_ends_and_does_not_stop_another(site: Site) -> None:
    for last in range(CODE_TRIES_OF_A_NETWORK.burst):
        assert (await site.client(f"192.0.2.{last}").post("/", data={"short_code": "00000000"})).status_code == 422
    refused = await site.post("/", {"short_code": "12345678"})
    assert refused.status_code == 429
    assert refused.headers["retry-after"] == "120"
    assert "0時2分</strong>まで受け付けられません" in refused.text
    assert len(site.join.redeemed) == CODE_TRIES_OF_A_NETWORK.burst
    assert (await site.client("198.51.100.1").post("/", data={"short_code": "12345678"})).status_code == 303
    site.clock.pass_(2 * MINUTE)
    assert (await site.post("/", {"short_code": "12345678"})).status_code == 303


async def test_right_codes_are_not_counted(site: Site) -> None:
    """A whole school types its codes in one hour behind one carrier's network."""
    for _ in range(3 * CODE_TRIES_OF_A_NETWORK.burst):
        assert (await site.post("/", {"short_code": "12345678"})).status_code == 303


async def test_ten_thousand_guesses_from_everywhere_are_looked_at_a_few_hundred_times(site: Site) -> None:
    tries = Tries(site.clock, of_a_network=CODE_TRIES_OF_A_NETWORK, over_all=CODE_TRIES_OVER_ALL)
    looked_at = sum(tries.begin(f"network {number % 3000}") is None for number in range(10_000))
    assert looked_at == CODE_TRIES_OVER_ALL.burst
    refused = tries.begin("a quiet network")
    assert refused == Refused(later(NEW_YEAR_2026, 6 * SECOND))
    site.clock.set(refused.free_at)
    assert tries.begin("a quiet network") is None


def test_a_refused_try_is_free_when_it_says_so() -> None:
    clock = FakeClock()
    tries = Tries(clock, of_a_network=Bucket(rate=2, period=HOUR, burst=3), over_all=CODE_TRIES_OVER_ALL)
    assert [tries.begin("n") for _ in range(3)] == [None, None, None]
    refused = tries.begin("n")
    assert refused == Refused(later(NEW_YEAR_2026, 30 * MINUTE))
    clock.pass_(30 * MINUTE - 1)
    assert tries.begin("n") == refused
    clock.pass_(1)
    assert tries.begin("n") is None


def test_forgiving_what_was_never_tried_gives_nothing() -> None:
    tries = Tries(FakeClock(), of_a_network=Bucket(rate=1, period=HOUR, burst=1), over_all=CODE_TRIES_OVER_ALL)
    tries.forgive("n")
    assert tries.begin("n") is None
    assert tries.begin("n") is not None


def test_networks_are_forgotten_when_their_tries_are_over() -> None:
    clock = FakeClock()
    tries = Tries(
        clock, of_a_network=Bucket(rate=60, period=HOUR, burst=1), over_all=Bucket(rate=60, period=SECOND, burst=9_000)
    )
    for number in range(2_500):
        assert tries.begin(f"n{number}") is None
        clock.pass_(SECOND)
    assert len(tries._networks) <= 2_001

"""The demo, from outside: it ends well and shows it in its table, what is wrong it would say, and no address is in its gate's files."""

import contextlib
import csv
import re
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from mailgate.demo.catcher import Catcher, Caught
from mailgate.demo.sending import Plan, compare
from mailgate.demo.story import Story
from mailgate.demo.viewer import create_viewer
from mailgate.demo.wire import Outgoing, hand_in, stuffed
from mailgate.runtime import SystemClock

ROOT = Path(__file__).resolve().parent.parent.parent
JOINING = 25
CONFIRMED = {"kita-es": 3, "all": 1}


def rows(name: str) -> list[dict[str, str]]:
    with (ROOT / "data" / f"{name}.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def every_address() -> frozenset[str]:
    """Of guardians, staff and phones."""
    known = [row["address"] for row in rows("sample/contacts") + rows("sample/staff")]
    return frozenset(known + [row["sender"] for row in rows("phones/senders") if row["sender"] != "<>"])


def addresses_in(content: bytes, addresses: frozenset[str]) -> set[str]:
    """Which of them stand in some octets, in whatever case."""
    folded = content.lower()
    domains = {domain for domain in {address.rpartition("@")[2] for address in addresses} if f"@{domain}".encode() in folded}
    return {a for a in addresses if a.rpartition("@")[2] in domains and a.lower().encode() in folded}


def snapshots(state: Path) -> Iterator[tuple[str, bytes]]:
    """The gate's log and its database's files as they are now; some come and go."""
    for path in state.glob("mailgate.*"):
        if path.name != "mailgate.toml":
            with contextlib.suppress(FileNotFoundError):
                yield path.name, path.read_bytes()


@pytest.mark.timeout(150)
def test_the_demo_delivers_to_everybody_once_and_leaves_no_address_in_any_file(tmp_path: Path) -> None:
    state, told, addresses = tmp_path / "state", tmp_path / "told.txt", every_address()
    searched: Counter[str] = Counter()
    found: set[str] = set()
    with told.open("wb") as output:
        command = [sys.executable, "-m", "mailgate", "demo", "--exit", "--keep", str(state)]
        process = subprocess.Popen(command, cwd=ROOT, stdout=output, stderr=subprocess.STDOUT)
    try:
        while process.poll() is None:
            for name, content in snapshots(state):
                searched[name] += len(content)
                found |= addresses_in(content, addresses)
            time.sleep(0.2)
    finally:
        process.terminate()
        process.wait(30)
    text = told.read_text(encoding="utf-8")
    assert process.returncode == 0, text
    assert "All as it must be." in text
    assert "!!" not in text
    for row in rows("phones/senders"):
        assert row["file"].removesuffix(".eml") in text
    for audience, recipients in expected_recipients().items():
        assert table_row(text, audience, bounced=1 if audience == "all" else 0) == recipients
    for _, content in snapshots(state):
        found |= addresses_in(content, addresses)
    assert found == set()
    assert all(searched[name] for name in ("mailgate.db", "mailgate.db-wal", "mailgate.log")), searched


def expected_recipients() -> dict[str, int]:
    """How many addresses each audience has, by the files alone."""
    school = {row["login_id"]: row["school"] for row in rows("sample/pupils") if row["login_id"]}
    contacts = rows("sample/contacts")
    kita = {row["address"] for row in contacts if school[row["login_id"]] == "kita-es"}
    return {"kita-es": len(kita) + JOINING, "all": len({row["address"] for row in contacts}) + JOINING}


def table_row(text: str, audience: str, *, bounced: int) -> int:
    """The recipients that the table names for an audience, if its other columns are as they must be."""
    found = re.search(rf"(?m)^  {audience} +[a-z]+ +([\d,]+) +([\d,]+) +0 +{bounced} +0 +{CONFIRMED[audience]} +\d+\.\d$", text)
    assert found, text
    recipients, handed_over = (int(number.replace(",", "")) for number in found.groups())
    assert handed_over == recipients - bounced
    return recipients


def test_an_address_that_stood_in_a_file_would_be_found() -> None:
    content = b"\x00\x17A..B@docomo.ne.jp\xff"
    assert addresses_in(content, frozenset({"a..b@docomo.ne.jp", "b@docomo.ne.jp.example", "x@docomo.ne.jp"})) == {"a..b@docomo.ne.jp"}


PLAN = Plan(member={}, audience="kita-es", school="kita-es", subject="closed", text="no school today", signature="")
EXPECTED = {"a@x.example": ("one",), "b@x.example": ("one", "two")}


def a_copy(recipient: str, *names: str, to: str = "", subject: str = "closed", number: int = 1) -> Caught:
    lines = [f"To: <{to or recipient}>", f"Subject: {subject}", "Content-Type: text/plain; charset=utf-8", "", "no school today"]
    content = "\r\n".join([*lines, *(f"{name} さん" for name in names), ""])
    return Caught(number=number, sender=f"b+{recipient}{number}", recipient=recipient, content=content.encode(), at=0.0)


A, B = a_copy("a@x.example", "one"), a_copy("b@x.example", "one", "two")


@pytest.mark.parametrize(
    "copies, fault",
    [
        ([A], "of the audience without a copy: 1, such as b@x.example"),
        ([A, B, a_copy("a@x.example", "one", number=2)], "with more than one copy: 1, such as a@x.example"),
        ([A, B, a_copy("c@x.example", "one")], "outside the audience with a copy: 1, such as c@x.example"),
        ([A, a_copy("b@x.example", "one")], "names other children than theirs: 1"),
        ([A, a_copy("b@x.example", "one", "two", "three")], "names other children than theirs: 1"),
        ([A, a_copy("b@x.example", "one", "two", to="a@x.example")], "whose To: is not they alone: 1"),
        ([A, a_copy("b@x.example", "one", "two", subject="open")], "with another subject or text: 1"),
    ],
)
def test_the_demo_says_what_is_wrong_with_the_copies(copies: list[Caught], fault: str) -> None:
    story = Story()
    compare(story, PLAN, copies, EXPECTED)
    (told,) = story.faults
    assert fault in told


def test_the_demo_finds_nothing_wrong_with_the_right_copies() -> None:
    story = Story()
    compare(story, PLAN, [B, A], EXPECTED)
    assert story.faults == []


@pytest.mark.parametrize("row", rows("phones/senders"), ids=lambda row: str(row["file"]))
async def test_a_phones_mail_comes_out_as_it_went_in(row: dict[str, str]) -> None:
    """Both ends are ours: the client that plays the phones, and the relay that catches."""
    content = (ROOT / "data" / "phones" / row["file"]).read_bytes()
    sender = "" if row["sender"] == "<>" else row["sender"]
    async with Catcher(SystemClock()) as catcher:
        await hand_in(catcher.port, Outgoing(sender=sender, recipient="a..b.@x.example", content=content))
    (caught,) = catcher.mails
    assert (caught.sender, caught.recipient) == (sender, "a..b.@x.example")
    assert caught.content == content


@pytest.mark.parametrize(
    "content, wire",
    [(b"", b".\r\n"), (b".\r\n", b"..\r\n.\r\n"), (b"x", b"x\r\n.\r\n"), (b"a\r\n.b\r\n\r\n", b"a\r\n..b\r\n\r\n.\r\n")],
)
def test_content_goes_out_dot_stuffed_and_ended(content: bytes, wire: bytes) -> None:
    assert stuffed(content) == wire


async def test_the_caught_mails_are_read_in_a_browser() -> None:
    async with Catcher(SystemClock()) as catcher:
        for number in range(1, 103):
            text = f"see\r\n\r\nhttp://127.0.0.1/j/{number}?a=1&b=2\r\n\r\n<b>{number}</b>\r\n"
            catcher.keep("b+x@x.example", ["a@x.example"], f"To: <a@x.example>\r\nSubject: no. {number}\r\n\r\n{text}".encode())
        transport = httpx.ASGITransport(app=create_viewer(catcher))
        async with httpx.AsyncClient(transport=transport, base_url="http://viewer.example") as client:
            newest, older = await client.get("/"), await client.get("/?before=3")
            mail, none = await client.get("/mails/102"), await client.get("/mails/103")
    assert newest.text.index("no. 102") < newest.text.index("no. 101")
    assert "/?before=3" in newest.text
    assert "no. 3<" not in older.text
    assert "no. 2<" in older.text
    assert '<a href="http://127.0.0.1/j/102?a=1&amp;b=2" rel="noreferrer">' in mail.text
    assert "&lt;b&gt;102" in mail.text
    assert none.status_code == 404

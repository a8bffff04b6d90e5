"""MR-18: exactly one answer for every blank mail, whatever a phone puts into it: three hundred mails made from those of the phones."""

import csv
import itertools
from collections import Counter
from collections.abc import Callable, Iterator

from tests.builders import Town
from tests.conftest import ROOT

PHONES = ROOT / "data/phones"
DIFFERENT = 300

Change = Callable[[bytes], bytes]


def with_head(*lines: bytes) -> Change:
    """More header lines at the top."""
    return lambda mail: b"".join(line + b"\r\n" for line in lines) + mail


def with_tail(octets: bytes) -> Change:
    """More text at the end."""
    return lambda mail: mail + octets


PHOTO = (
    b"Content-Type: multipart/mixed; boundary=photo\r\n\r\n--photo\r\nContent-Type: image/jpeg\r\n"
    b"Content-Transfer-Encoding: base64\r\nContent-Disposition: attachment; filename=a.jpg\r\n\r\n/9j/4AAQ\r\n--photo--\r\n"
)
CHANGES: tuple[Change, ...] = (
    with_head(b"Subject: =?ISO-2022-JP?B?GyRCRVBPPxsoQg==?="),
    with_head("Subject: 登録".encode("cp932")),
    with_head("Subject: とうろく😀".encode()),
    with_head(b"X-Mailer: old phone", b"X-Priority: 3", b"Importance: Normal"),
    with_head(b"Message-ID: <folded\r\n @phone>", b"MIME-Version: 1.0"),
    with_head(b"Content-Type: text/plain; charset=x-unknown", b"Content-Transfer-Encoding: 8bit"),
    with_head(b"X-Auto-Response-Suppress: All", b"Disposition-Notification-To: <>"),
    with_tail("\r\n-- \r\n母のスマホから送信\r\n".encode("cp932")),
    with_tail("よろしくお願いします①㈱\r\n".encode("cp932")),
    with_tail(b"\x1b$B%F%9%H\x1b(B\r\n\x00\xff\xfe\r\n"),
    with_tail(b"<html><body><div style='x'>" + b"&nbsp;" * 3000 + b"</div></body></html>\r\n"),
    lambda mail: PHOTO,
    lambda mail: mail.replace(b"\r\n", b"\n"),
)


def mails() -> Iterator[tuple[str, bytes]]:
    """Every phone's mail with every change, each from a mailbox of its own."""
    with (PHONES / "senders.csv").open(encoding="utf-8", newline="") as file:
        answered = [row for row in csv.DictReader(file) if row["expect"] == "reply"]
    for number, (row, change) in enumerate(itertools.product(answered, CHANGES)):
        content = (PHONES / row["file"]).read_bytes()
        sender = f"kazoku.{number}..x@docomo.ne.jp"
        yield sender, change(content.replace(row["sender"].encode(), sender.encode()))


async def test_three_hundred_blank_mails_get_one_answer_each(town: Town) -> None:
    different = dict(mails())
    assert len(different) >= DIFFERENT
    assert len(set(different.values())) >= DIFFERENT
    answers: Counter[str] = Counter()
    for sender, content in different.items():
        await town.post(sender, "touroku", content=content)
        town.clock.pass_(50_000)
        answers.update(mail.to for mail in await town.sent())
    assert answers == Counter(different.keys())

"""Logs: JSON, one event a line, and no address, name or token, whoever speaks."""

import asyncio
import gc
import io
import json
import logging
import re
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from functools import partial

import pytest
import structlog

from mailgate import logs
from mailgate.core.addresses import parse_spec
from mailgate.core.returnpath import tokens
from mailgate.core.tokens import LinkKeys, Purpose, sign
from mailgate.logs import fault_of, masked
from tests.builders import a_key
from tests.fakes import NEW_YEAR_2026

LINK = sign(LinkKeys((a_key("links"),)), Purpose.INVITATION, id=bytes(range(15)), expires_at=NEW_YEAR_2026)
RECEIPT = tokens(a_key("links"), 77).receipt

# What must not come through, and the parts of it that would give it away.
ADDRESSES = {
    "taro..y@docomo.ne.jp": ("taro", "docomo"),
    ".taro@docomo.ne.jp": ("taro", "docomo"),
    "taro.@ezweb.ne.jp": ("taro", "ezweb"),
    '"taro..y"@docomo.ne.jp': ("taro", "docomo"),
    '"taro y"@docomo.ne.jp': ("taro", "docomo"),
    '"kita\\"mura"@docomo.ne.jp': ("kita", "mura", "docomo"),
    "taro＠docomo.ne.jp": ("taro", "docomo"),
    "ｔａｒｏ＠ｄｏｃｏｍｏ．ｎｅ．ｊｐ": ("ｔａｒｏ", "ｄｏｃｏｍｏ"),
    "taro﹫docomo.ne.jp": ("taro", "docomo"),
    "taro%40docomo.ne.jp": ("taro", "docomo"),
    "o'hara@docomo.ne.jp": ("hara", "docomo"),
    "taro+kita=es@docomo.ne.jp": ("taro", "kita", "docomo"),
    "kita/mura@docomo.ne.jp": ("kita", "mura", "docomo"),
    "kita:mura@docomo.ne.jp": ("mura", "docomo"),
    "太郎@学校.jp": ("太郎", "学校"),
    "taro@[192.0.2.1]": ("taro", "192.0.2.1"),
}
TOKENS = {
    LINK: (LINK[:20], LINK[-20:]),
    RECEIPT: (RECEIPT[:12],),
    RECEIPT.upper(): (RECEIPT.upper()[:12],),
    f"https://touroku.example.jp/j/{LINK}": (LINK[:20], LINK[-20:]),
    f"http://127.0.0.1:8080/k/{RECEIPT}?x=1": (RECEIPT[:12],),
    f"k+{RECEIPT}": (RECEIPT[:12],),
}
SECRETS = ADDRESSES | TOKENS


class Word(StrEnum):
    TARO = "taro@docomo.ne.jp"


@dataclass(frozen=True)
class Guardian:
    address: str


class Lines:
    """What was logged."""

    def __init__(self, stream: io.StringIO) -> None:
        self._stream = stream

    @property
    def text(self) -> str:
        return self._stream.getvalue()

    def all(self) -> list[dict[str, object]]:
        return [json.loads(line) for line in self.text.splitlines()]

    def one(self) -> dict[str, object]:
        (line,) = self.all()
        return line

    def hide(self, *parts: str) -> bool:
        return not any(part in self.text or json.dumps(part)[1:-1] in self.text for part in parts)


@pytest.fixture
def lines() -> Iterator[Lines]:
    """Logging as a process of ours sets it up, into memory."""
    stream = io.StringIO()
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    logs.configure(stream)
    yield Lines(stream)
    logging.captureWarnings(capture=False)
    structlog.reset_defaults()
    root.handlers[:] = handlers
    root.setLevel(level)


def test_an_event_is_a_line_of_json_with_level_and_time(lines: Lines) -> None:
    structlog.get_logger().info("registration.completed", registration=7, faults=["name"], state=None, share=0.5, ok=True)
    line = lines.one()
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT[\d:.]+Z", str(line.pop("timestamp")))
    assert line == {
        "event": "registration.completed", "level": "info", "registration": 7, "faults": ["name"], "state": None, "share": 0.5, "ok": True,
    }  # fmt: skip


@pytest.mark.parametrize("secret", SECRETS)
@pytest.mark.parametrize(
    "carrier",
    [
        lambda secret: secret,
        lambda secret: f"could not write to {secret}, trying again",
        lambda secret: f"<{secret}>",
        lambda secret: f"to={secret}",
        lambda secret: f"宛先は{secret}です",
        lambda secret: [secret],
        lambda secret: ("x", [secret]),
        lambda secret: {"to": secret},
        lambda secret: {secret: 1},
        lambda secret: {secret},
        lambda secret: secret.encode(),
        Guardian,
        ValueError,
        lambda secret: [KeyError(secret)],
    ],
    ids=["plain", "sentence", "path", "key", "japanese", "list", "nested", "value", "name", "set", "bytes", "record", "fault", "faults"],
)  # fmt: skip
def test_no_address_and_no_token_comes_through_in_any_value(lines: Lines, secret: str, carrier: Callable[[str], object]) -> None:
    structlog.get_logger().info("mail.accepted", value=carrier(secret))
    lines.one()
    assert lines.hide(*SECRETS[secret])


@pytest.mark.parametrize("secret", SECRETS)
def test_no_address_and_no_token_comes_through_from_a_library(lines: Lines, secret: str) -> None:
    library = logging.getLogger("uvicorn.error")
    library.error("cannot write to %s", secret)
    library.error("cannot write to " + secret)
    library.error("cannot write to %(to)s", {"to": secret})
    library.error("cannot write: %s, %r", ValueError(secret), ValueError(secret))
    assert len(lines.all()) == 4
    assert lines.hide(*SECRETS[secret])


def test_an_address_of_ours_is_never_shown(lines: Lines) -> None:
    structlog.get_logger().info("mail.accepted", sender=parse_spec("taro@docomo.ne.jp"), word=Word.TARO)
    assert (lines.one()["sender"], lines.one()["word"]) == ("Address(***)", "***")


def test_an_exception_is_its_type_and_place_and_none_of_its_words(lines: Lines) -> None:
    try:
        raise LookupError("苫小牧 花子")
    except LookupError as error:
        structlog.get_logger().error("sender.fault_caught", fault=fault_of(error), error=error)
        logging.getLogger("asyncio").exception("it failed: %s", error)  # noqa: TRY401  # as libraries do
    assert lines.hide("花子")
    first, second = lines.all()
    assert re.fullmatch(r"LookupError in test_an_exception\w+:\d+", str(first["fault"]))
    assert second["fault"] == "LookupError"


def test_an_exception_that_was_never_raised_comes_from_nowhere() -> None:
    assert fault_of(ValueError("花子")) == "ValueError in nowhere"


async def test_a_task_that_failed_unseen_says_its_type_alone(lines: Lines) -> None:
    async def fail() -> None:
        raise LookupError("苫小牧 花子, taro@docomo.ne.jp")

    task = asyncio.get_running_loop().create_task(fail())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    del task
    gc.collect()
    line = lines.one()
    assert (line["library"], line["severity"], line["fault"]) == ("asyncio", "error", "LookupError")
    assert "never retrieved" in str(line["words"])
    assert lines.hide("花子", "taro", "docomo")


@pytest.mark.parametrize("library", ["uvicorn", "uvicorn.error", "asyncio", "aiosqlite", "mail.log", "concurrent.futures", "anything"])
def test_every_library_passes_the_same_wall(lines: Lines, library: str, request: pytest.FixtureRequest) -> None:
    speaker = logging.getLogger(library)
    request.addfinalizer(partial(speaker.setLevel, speaker.level))
    speaker.setLevel(logging.NOTSET)  # a listener that ran in this process has silenced aiosmtpd
    speaker.info("taro@docomo.ne.jp came by")
    speaker.warning("taro@docomo.ne.jp is slow")
    line = lines.one()
    assert (line["event"], line["library"], line["words"]) == ("library.spoke", library, "*** is slow")


def test_a_library_that_speaks_nonsense_stops_nobody(lines: Lines) -> None:
    record = logging.LogRecord("asyncio", logging.ERROR, __file__, 1, "%d of %d", ("one",), None)
    logging.getLogger().handlers[0].emit(record)
    assert lines.one()["words"] == "%d of %d"


def test_a_library_that_says_too_much_is_cut(lines: Lines) -> None:
    logging.getLogger("asyncio").error("x" * 1_000_000)
    assert len(lines.text) < 2_000


def test_a_warning_passes_the_wall(lines: Lines) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(capture=False)
        logging.captureWarnings(capture=True)
        warnings.warn("taro@docomo.ne.jp is out of fashion", FutureWarning, stacklevel=1)
    line = lines.one()
    assert line["library"] == "py.warnings"
    assert lines.hide("taro", "docomo")


def test_setting_up_logs_takes_warnings_in(lines: Lines) -> None:
    assert warnings.showwarning.__module__ == "logging"


def test_masking_takes_linear_time() -> None:
    for text in ("a" * 200_000, "a@" * 100_000, '"' * 200_000, "a." * 100_000, "%4" * 100_000):
        masked(text)


@pytest.mark.parametrize(
    "text", ["broadcast.confirmed", "LookupError in Sender._look:91", "5.1.1", "kita-es.3-1", "2026-01-01T00:00:00Z", "unknown_audience"]
)
def test_ordinary_words_stay(text: str) -> None:
    assert masked(text) == text

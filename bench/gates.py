"""Gates: folders made by `mailgate init` and filled with an invented city, ready to send one broadcast.

The rows are written by plain SQL, as fast as SQLite takes them, but every address is sealed and every text encrypted by the real vault:
what the sender opens later is what it would open in production. One pupil, registration and contact stand behind each address, and the
audience of the broadcast is everybody. Addresses and names are invented, and no mail leaves the loopback.
"""

import re
import shutil
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bench.processes import Failed, finish, free_port
from mailgate.core.addresses import Address
from mailgate.core.broadcast import LANE, Kind
from mailgate.core.instants import MINUTE
from mailgate.runtime import SystemClock, SystemDice
from mailgate.settings import Settings, load
from mailgate.vault import MAIL_KEYS, AddressVault, TextVault, load_keys

DOMAIN: Final = "gate.example.jp"
BROADCAST: Final = 1  # the id of the one broadcast
CITY: Final = 36_000  # recipients: every guardian of a city

_SITE: Final = "docomo.ne.jp"  # a carrier, so that its guardians may all come within one hour (MR-22)
_SPACING: Final = 1 << 25  # of the ids of addresses: as if one came every eight milliseconds
_SUBJECT: Final = "運動会の延期について"
_LINE: Final = "雨が続いているため、土曜日に予定していた運動会は、来週の土曜日に延期します。お弁当の用意をお願いいたします。\n"
# Makes a copy as large as what smtp-source sends with 4,096 octets of content: 4,227, headers and all.
_TEXT: Final = (_LINE * 12)[:653]

_PUPIL: Final = """
    INSERT INTO pupil (id, school_id, grade, class_id, name, kana, kana_key, on_roster)
    VALUES (?, 1, 3, 1, '潮見 花子', 'しおみ はなこ', 'シオミハナコ', 1)
"""
_REGISTRATION: Final = """
    INSERT INTO registration (id, login_id, login_key, password_hash, pupil_id, name, kana, created_at)
    VALUES (?, ?, ?, '-', ?, '潮見 花子', 'しおみ はなこ', ?)
"""
_ADDRESS: Final = """
    INSERT INTO address (id, sealed, lookup, provider, site, created_at) VALUES (?, ?, ?, 'docomo', 'docomo', ?)
"""
_CONTACT: Final = """
    INSERT INTO contact (id, registration_id, address_id, kind, label, created_at) VALUES (?, ?, ?, 'guardian', '母', ?)
"""


@dataclass(frozen=True, slots=True)
class Folder:
    """One gate's folder."""

    path: Path

    @property
    def config(self) -> Path:
        return self.path / "mailgate.toml"

    @property
    def database(self) -> Path:
        return self.path / "mailgate.db"

    def settings(self) -> Settings:
        return load(self.config)

    def set_relay(self, port: int, *, connections: int) -> None:
        """Point it at another next server."""
        self._set("relay", "port", str(port))
        self._set("relay", "connections", str(connections))

    def set_overlap(self) -> None:
        """Say that it takes the next envelope behind a content."""
        self._set("relay", "overlap", "true")

    async def sign(self) -> None:
        """Make a DKIM key of 2,048 bits and let it sign every copy."""
        await finish(sys.executable, "-m", "mailgate", "-c", str(self.config), "keys", "dkim", "--selector", "bench")
        self._set("dkim", "selector", '"bench"')

    def _set(self, section: str, key: str, value: str) -> None:
        head, name, rest = self.config.read_text(encoding="utf-8").partition(f"\n[{section}]")
        rest, found = re.subn(rf"^{key} = \S+", f"{key} = {value}", rest, count=1, flags=re.MULTILINE)
        if not found:
            raise Failed(f"the sample configuration has no {section}.{key}")
        self.config.write_text(head + name + rest, encoding="utf-8")

    def copied(self, path: Path) -> "Folder":
        """The same again in another folder."""
        shutil.copytree(self.path, path)
        return Folder(path)

    def removed(self) -> None:
        shutil.rmtree(self.path)


async def made(path: Path, *, recipients: int = 0) -> Folder:
    """A new gate with so many registered addresses and, if there are any, a draft of a broadcast to all of them."""
    await finish(
        *(sys.executable, "-m", "mailgate", "init", str(path), "--domain", DOMAIN, "--public-url", "http://127.0.0.1:1"),
        *("--smtp", "127.0.0.1:0", "--web", "127.0.0.1:0", "--relay", f"127.0.0.1:{free_port()}"),
    )
    folder = Folder(path)
    if recipients:
        with closing(sqlite3.connect(folder.database)) as connection:
            _City(folder, connection).settle(recipients)
    return folder


class _City:
    """Writes the rows."""

    def __init__(self, folder: Folder, connection: sqlite3.Connection) -> None:
        keys = load_keys(folder.settings().keys_dir, MAIL_KEYS)
        self._dice = SystemDice()
        self._addresses = AddressVault(keys, self._dice)
        self._texts = TextVault(keys, self._dice)
        self._connection = connection
        self._now = SystemClock().now() - MINUTE

    def settle(self, recipients: int) -> None:
        run, many, now = self._connection.execute, self._connection.executemany, self._now
        run("PRAGMA synchronous = OFF")
        run("PRAGMA cache_size = -400000")
        run("INSERT INTO school (id, slug, name, kind) VALUES (1, 'kita-es', '北小学校', 'elementary')")
        run("INSERT INTO class_ (id, school_id, grade, slug, name) VALUES (1, 1, 3, '1', '3年1組')")
        numbers = range(1, recipients + 1)
        first = self._dice.row_id()
        ids = [first + number * _SPACING for number in numbers]
        many(_PUPIL, ((n,) for n in numbers))
        many(_REGISTRATION, ((n, f"hanako{n}", f"hanako{n}", n, now) for n in numbers))
        many(_ADDRESS, self._sealed(ids))
        many(_CONTACT, ((n, n, ids[n - 1], now) for n in numbers))
        self._draft(ids[0])
        self._connection.commit()
        run("PRAGMA wal_checkpoint(TRUNCATE)")
        run("PRAGMA optimize")

    def _sealed(self, ids: list[int]) -> Iterator[tuple[int, bytes, bytes, int]]:
        for number, row_id in enumerate(ids):
            address = Address(f"hanako.{number}", _SITE)
            yield row_id, self._addresses.seal_address(address, row_id), self._addresses.lookup(address), self._now

    def _draft(self, staff_address: int) -> None:
        kind = Kind.NOTICE
        staff = (staff_address, "教育 委員", "board", "all", "-", "-", b"-", self._now)
        self._connection.execute(
            """
            INSERT INTO staff (id, address_id, name, role, scope, pin_hash, submission_hash, totp_sealed, created_at)
            VALUES (1, ?, ?, ?, ?, ?, ?, ?, ?)
            """,
            staff,
        )
        texts = (("subject", _SUBJECT), ("text", _TEXT), ("cut", ""))
        sealed = [self._texts.seal_text(words, column, BROADCAST) for column, words in texts]
        self._connection.execute(
            """
            INSERT INTO broadcast (id, link_id, state, kind, lane, staff_id, source, subject, text, cut, created_at)
            VALUES (?, ?, 'drafted', ?, ?, 1, x'00', ?, ?, ?, ?)
            """,
            (BROADCAST, self._dice.octets(15), kind.value, int(LANE[kind]), *sealed, self._now),
        )
        self._connection.execute("INSERT INTO broadcast_part (broadcast_id, part, staff) VALUES (?, 'all', 0)", (BROADCAST,))


def visitor(number: int) -> str:
    """The address of an invented guardian who is not registered yet."""
    return f"taro.{number}@{_SITE}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Drained:
    """What the database says of a broadcast that was sent."""

    copies: int
    first_tenth_s: float  # of the copies: from the confirmation on
    last_tenth_s: float


def drained(folder: Folder) -> Drained:
    """Read a broadcast's marks.

    Raises:
        ValueError: not every copy was handed over.
    """
    with closing(sqlite3.connect(f"file:{folder.database}?mode=ro", uri=True)) as connection:
        total, handed = connection.execute(
            "SELECT COUNT(*), COUNT(handed_over_at) FROM outbox WHERE broadcast_id = ?", (BROADCAST,)
        ).fetchone()
        if not total or handed != total:
            raise ValueError(f"{handed} of {total} copies were handed over")
        (confirmed,) = connection.execute("SELECT confirmed_at FROM broadcast WHERE id = ?", (BROADCAST,)).fetchone()
        marks = [row[0] for row in connection.execute("SELECT handed_over_at FROM outbox WHERE broadcast_id = ?", (BROADCAST,))]
    marks.sort()
    tenth = total // 10
    return Drained(
        copies=total, first_tenth_s=(marks[tenth - 1] - confirmed) / 1e6, last_tenth_s=(marks[-1] - marks[-tenth - 1]) / 1e6
    )


class Watch:
    """Looks on from outside while a broadcast is sent, over one connection: to open one for each look would take a tenth of the machine."""

    def __init__(self, folder: Folder) -> None:
        self._connection = sqlite3.connect(f"file:{folder.database}?mode=ro", uri=True)

    def owes_nothing(self) -> bool:
        """Whether the broadcast is expanded and its last mark committed."""
        return bool(
            self._connection.execute(
                """
                SELECT b.expanded_at IS NOT NULL AND NOT EXISTS (
                       SELECT 1 FROM outbox o WHERE o.broadcast_id = b.id AND o.state IN ('pending', 'leased'))
                  FROM broadcast b WHERE b.id = ?
                """,
                (BROADCAST,),
            ).fetchone()[0]
        )

    def close(self) -> None:
        self._connection.close()

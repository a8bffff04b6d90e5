"""Charsets: bytes to text, whatever a phone says they are.

Decoding never fails: what cannot be read becomes U+FFFD. Labels are looked up in our own table, never in Python's
registry, which also holds things that are no charsets or take quadratic time (zip, idna, punycode). What phones label
Shift_JIS is cp932. What they label ISO-2022-JP holds rows that JIS X 0208 leaves empty and Windows fills (NEC row 13:
(1) in a circle, the IBM ideographs: the tall 高), and no codec of Python reads those; JIS and cp932 are the same table
in different wrappings, so each pair of bytes is looked up by its cp932 form. Unlabelled or wrongly labelled bytes are
tried as UTF-8 and then as cp932.
"""

import re
import sys
from itertools import product
from types import MappingProxyType
from typing import Final

_GUESS: Final = "guess"
_JIS: Final = "jis"

_LABELS = MappingProxyType(
    {
        label: codec
        for codec, labels in {
            "utf-8": "utf-8 utf8 unicode-1-1-utf-8 cp65001",
            "cp932": "shift_jis shift-jis sjis x-sjis ms_kanji csshiftjis windows-31j cswindows31j cp932 ms932",
            _JIS: "iso-2022-jp iso2022-jp csiso2022jp iso-2022-jp-1 iso-2022-jp-2 iso-2022-jp-3 iso-2022-jp-ms "
            "cp50220 cp50221 cp50222 jis",
            "euc_jp": "euc-jp x-euc-jp eucjp ujis eucjp-ms cp51932",
            "cp1252": "iso-8859-1 iso8859-1 latin1 l1 windows-1252 cp1252 iso-8859-15",
            "gb18030": "gb2312 gbk gb18030 cp936 hz-gb-2312",
            "big5": "big5 cp950 big5-hkscs",
            "cp949": "euc-kr ks_c_5601-1987 cp949",
            "cp1251": "windows-1251",
            "koi8-r": "koi8-r",
            "cp1250": "iso-8859-2 windows-1250",
            "cp1258": "windows-1258",
            "utf-16": "utf-16",
            "utf-16-le": "utf-16le",
            "utf-16-be": "utf-16be",
            _GUESS: "us-ascii ascii ansi_x3.4-1968",
        }.items()
        for label in labels.split()
    }
)

_UNREADABLE = "\N{REPLACEMENT CHARACTER}"


def decode(data: bytes, label: str) -> str:
    """The text of bytes that are labelled so; any label, any bytes."""
    codec = _LABELS.get(label.strip(" \t\"'").lower(), _GUESS)
    if codec == _GUESS:
        return guess(data)
    return decode_jis(data) if codec == _JIS else data.decode(codec, "replace")


def guess(data: bytes) -> str:
    """The text of bytes without a label: raw JIS by its escapes, else UTF-8, else cp932."""
    if b"\x1b$" in data:
        return decode_jis(data)
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return data.decode("cp932", "replace")


# RFC 1468, RFC 1554, JIS X 0202: two bytes a character, half-width kana, or one byte a character.
_ESCAPE = re.compile(rb"\x1b(?:(\$[@B]|\$\([@BDOPQ])|(\(I)|\([A-HJ-Z]|&@)")
_NOT_A_PAIR = re.compile(rb"([^\x21-\x7e]++)")


def decode_jis(data: bytes) -> str:
    """ISO-2022-JP with the rows that Windows adds; a line feed ends a shift that was left open."""
    text: list[str] = []
    read, at = _plain, 0
    for escape in _ESCAPE.finditer(data):
        text.append(read(data[at : escape.start()]))
        at = escape.end()
        read = _pairs if escape[1] else _half_width if escape[2] else _plain
    text.append(read(data[at:]))
    return "".join(text)


def _plain(run: bytes) -> str:
    # Eight-bit bytes outside every shift are half-width kana or Shift_JIS that slipped in; cp932 reads both.
    return run.decode("ascii") if run.isascii() else run.decode("cp932", "replace")


def _half_width(run: bytes) -> str:
    shifted, feed, rest = run.partition(b"\n")
    return shifted.translate(_TO_KANA).decode("cp932", "replace") + _plain(feed + rest)


def _pairs(run: bytes) -> str:
    shifted, feed, rest = run.partition(b"\n")
    parts = _NOT_A_PAIR.split(shifted)
    text = [_pair_run(part) if nth % 2 == 0 else part.decode("latin-1") for nth, part in enumerate(parts)]
    return "".join(text) + _plain(feed + rest)


def _pair_run(run: bytes) -> str:
    whole = len(run) & ~1
    text = "".join(map(_BY_PAIR.__getitem__, memoryview(run[:whole]).cast("H")))
    return text if whole == len(run) else text + _UNREADABLE


def to_cp932(row: int, cell: int) -> bytes:
    """The cp932 bytes of a JIS pair, both bytes 0x21 to 0x7E: two rows of 94 cells share one lead byte."""
    lead = ((row - 0x21) >> 1) + 0x81
    first_half = cell + (0x1F if cell < 0x60 else 0x20)  # 0x7F is never a trail byte
    trail = first_half if row % 2 else cell + 0x7E
    return bytes((lead if lead <= 0x9F else lead + 0x40, trail))


def _table() -> list[str]:
    """Text by pair, the pair read as the machine's own 16-bit number, so that a run is one pass in C."""
    pairs = list(product(range(0x21, 0x7F), repeat=2))
    texts = b"\n".join(to_cp932(*pair) for pair in pairs).decode("cp932", "replace").split("\n")
    table = [_UNREADABLE] * 0x10000
    for pair, text in zip(pairs, texts, strict=True):
        table[int.from_bytes(pair, sys.byteorder)] = text if len(text) == 1 else _UNREADABLE
    return table


_BY_PAIR = _table()
_TO_KANA = bytes(byte | 0x80 if 0x21 <= byte <= 0x5F else byte for byte in range(0x100))

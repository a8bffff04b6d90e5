from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailgate.core.charsets import decode, decode_jis, guess, to_cp932

MIB = 1 << 20
Timer = Callable[[Callable[[], object]], float]
SECONDS = 0.2  # twice MR-17: a busy machine is slower


@pytest.mark.parametrize(
    "label",
    ["shift_jis", "Shift-JIS", "SJIS", "x-sjis", "windows-31j", "cp932", ' "Shift_JIS" ', "'shift_jis'"],
)
def test_what_phones_call_shift_jis_is_cp932(label: str) -> None:
    assert decode("①㈱髙﨑～№ 登録".encode("cp932"), label) == "①㈱髙﨑～№ 登録"


@pytest.mark.parametrize(
    "text, label, codec",
    [
        ("登録します😀", "utf-8", "utf-8"),
        ("登録します😀", "UTF8", "utf-8"),
        ("登録します", "euc-jp", "euc_jp"),
        ("登録します", "iso-2022-jp", "iso2022_jp"),
        ("café", "iso-8859-1", "latin-1"),
        ("café", "ISO-8859-1", "latin-1"),
        ("学校", "gb2312", "gb2312"),
        ("學校", "big5", "big5"),
        ("학교", "euc-kr", "euc_kr"),
        ("школа", "windows-1251", "cp1251"),
        ("школа", "koi8-r", "koi8-r"),
        ("登録", "utf-16", "utf-16"),
        ("登録", "utf-16be", "utf-16-be"),
        ("登録します", "us-ascii", "utf-8"),
        ("登録します", "us-ascii", "cp932"),
        ("登録します", "", "utf-8"),
        ("登録します", "x-unknown", "cp932"),
        ("登録します", "x-unknown", "iso2022_jp"),
        ("plain", "hz-unknown\0", "ascii"),
    ],
)
def test_text_is_read_by_its_label_or_guessed(text: str, label: str, codec: str) -> None:
    assert decode(text.encode(codec), label) == text


@pytest.mark.parametrize(
    "pair, text",
    [
        (b"-!", "①"),
        (b"-j", "㈱"),
        (b"-b", "№"),
        (b"-5", "Ⅰ"),
        (b"|b", "髙"),
        (b"yu", "﨑"),
        (b'$"', "あ"),
        (b"0!", "亜"),
        (b"!A", "～"),
        (b"O!", "蓮"),
        (b"P!", "弌"),
        (b"t&", "熙"),
    ],
)
def test_iso_2022_jp_holds_the_rows_that_windows_adds(pair: bytes, text: str) -> None:
    assert decode_jis(b"a\x1b$B" + pair + b"\x1b(Bb") == f"a{text}b"


def test_every_character_of_the_standard_is_read_as_the_standard_codec_reads_it() -> None:
    differing = set()
    for row in range(0x21, 0x75):
        for cell in range(0x21, 0x7F):
            data = b"\x1b$B" + bytes((row, cell)) + b"\x1b(B"
            try:
                expected = data.decode("iso2022_jp")
            except UnicodeDecodeError:
                continue
            if decode_jis(data) != expected:
                differing.add(expected)
    # Windows has its own idea of these: full-width backslash, wave dash, parallel, minus, cent, pound, not.
    assert differing <= set("＼\\〜‖−¢£¬")


@pytest.mark.parametrize(
    "data, text",
    [
        (b'\x1b$@$"\x1b(J~', "あ~"),
        (b"\x1b(I12\x1b(B.", "ｱｲ."),
        (b"\x1b(I!_`\x1b(B", "｡ﾟ`"),
        (b"\x1b(I1\nabc", "ｱ\nabc"),
        (b'\x1b$B$"\nabc', "あ\nabc"),
        (b'\x1b$B$"\r\n\x1b$B$$', "あ\r\nい"),
        (b'\x1b$B$" $$\x1b(B', "あ い"),
        (b'\x1b$B$"$', "あ�"),
        (b"\x1b$B\x24", "�"),
        (b"\x1b$B~~\x1b(B", "�"),
        (b"\x1b$(D0!\x1b(B", "亜"),
        (b'\x1b&@\x1b$B$"\x1b(B', "あ"),
        (b"\xb1\xb2", "ｱｲ"),
        (b"\x1b$", "\x1b$"),
        (b"\x1bX", "\x1bX"),
        (b"", ""),
    ],
)
def test_broken_shifts_do_not_swallow_the_rest(data: bytes, text: str) -> None:
    assert decode_jis(data) == text


def test_each_pair_has_its_own_cp932_form() -> None:
    forms = {to_cp932(row, cell) for row in range(0x21, 0x7F) for cell in range(0x21, 0x7F)}
    assert len(forms) == 94 * 94
    assert all(form[1] != 0x7F and 0x40 <= form[1] <= 0xFC for form in forms)


@given(st.binary(), st.sampled_from(["utf-8", "shift_jis", "iso-2022-jp", "euc-jp", "utf-16", "zip", "idna", "", "\0"]))
def test_decoding_never_raises(data: bytes, label: str) -> None:
    assert isinstance(decode(data, label), str)
    assert isinstance(decode_jis(b"\x1b$B" + data), str)


@given(st.text(st.characters(codec="cp932", exclude_characters="¢£¬‖−〜")))  # written, and read as their wide twins
def test_what_cp932_can_write_is_read_again(text: str) -> None:
    assert decode(text.encode("cp932"), "shift_jis") == text


@given(st.text(st.characters(exclude_categories=["Cs", "Cc"])))
def test_utf_8_without_a_label_is_guessed(text: str) -> None:
    assert guess(text.encode()) == text


@pytest.mark.parametrize("name", ["zlib", "bz2", "hex", "rot13", "idna", "punycode", "unicode_escape", "undefined"])
def test_a_label_never_reaches_pythons_other_codecs(name: str) -> None:
    assert decode(b"616263\\u0041", name) == "616263\\u0041"


@pytest.mark.parametrize("unit", [b"\xff", b"\x1b$B", b"-!", b"\n", b"\x81", b"\x1b$B-!\x1b(I1"])
@pytest.mark.parametrize("label", ["utf-8", "shift_jis", "iso-2022-jp", "euc-jp", "gb18030", "utf-16", ""])
def test_reading_128_kib_takes_no_time(unit: bytes, label: str, cpu_seconds: Timer) -> None:
    data = (unit * MIB)[: 128 * 1024]
    assert cpu_seconds(lambda: decode(data, label)) < SECONDS

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailgate.core.instants import HOUR, SECOND, Instant
from mailgate.core.tokens import (
    INVALID,
    Expired,
    Invalid,
    LinkKeys,
    Purpose,
    compact,
    open_,
    read_short_code,
    short_code,
    short_code_index,
    short_code_indexes,
    sign,
)

OLD, NEW, FOREIGN = (bytes([n]) * 32 for n in (1, 2, 3))
KEYS = LinkKeys((OLD, NEW))
ID = bytes(range(15))
NOW = Instant(1_800_000_000 * SECOND)
LATER = Instant(NOW + 24 * HOUR)
ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"

IDS = st.binary(min_size=15, max_size=15)
PURPOSES = st.sampled_from(Purpose)


def a_token(purpose: Purpose = Purpose.INVITATION, *, keys: LinkKeys = KEYS) -> str:
    return sign(keys, purpose, id=ID, expires_at=LATER)


@given(IDS, PURPOSES, st.integers(min_value=1, max_value=10**9))
def test_a_token_in_time_opens_to_its_id_and_a_late_one_says_whose_it_was(
    link_id: bytes, purpose: Purpose, seconds: int
) -> None:
    expires_at = Instant(NOW + seconds * SECOND)
    token = sign(KEYS, purpose, id=link_id, expires_at=expires_at)
    assert open_(KEYS, purpose, token, now=Instant(expires_at - 1)) == link_id
    assert open_(KEYS, purpose, token, now=expires_at) == Expired(link_id)


@given(IDS, PURPOSES)
def test_the_same_id_and_expiry_give_the_same_token(link_id: bytes, purpose: Purpose) -> None:
    first, second = (sign(KEYS, purpose, id=link_id, expires_at=LATER) for _ in range(2))
    assert first == second
    assert len(first) == 71


def test_a_token_never_lives_longer_than_it_was_given() -> None:
    expires_at = Instant(LATER + SECOND - 1)
    token = sign(KEYS, Purpose.SEND, id=ID, expires_at=expires_at)
    assert token == sign(KEYS, Purpose.SEND, id=ID, expires_at=LATER)
    assert open_(KEYS, Purpose.SEND, token, now=expires_at) == Expired(ID)


def test_links_that_are_out_there_stay_readable() -> None:
    assert a_token() == "AAECAwQFBgcICQoLDA0OAGtLI4A.YYTGjuNP1Iw7N9loVYkdMcAG3eYU6JefWeGhow8qPxI"


def test_a_token_of_an_older_key_still_opens_and_the_newest_key_signs() -> None:
    assert open_(KEYS, Purpose.SEND, a_token(Purpose.SEND, keys=LinkKeys((OLD,))), now=NOW) == ID
    assert a_token() == a_token(keys=LinkKeys((NEW,)))


def test_a_token_of_one_purpose_is_none_of_another() -> None:
    opened = {(a, b): open_(KEYS, b, a_token(a), now=NOW) for a in Purpose for b in Purpose}
    assert opened == {(a, b): ID if a is b else INVALID for a in Purpose for b in Purpose}


def test_a_token_of_a_foreign_key_is_invalid_also_when_it_is_late() -> None:
    token = a_token(keys=LinkKeys((FOREIGN,)))
    assert open_(KEYS, Purpose.INVITATION, token, now=NOW) is INVALID
    assert open_(KEYS, Purpose.INVITATION, token, now=LATER) is INVALID


def test_an_altered_character_either_means_the_same_bytes_or_makes_it_invalid() -> None:
    """Every character in every place: bits that base64 leaves over do not matter, all others do."""
    token = a_token()
    same = 0
    for place in range(len(token)):
        for letter in ALPHABET:
            altered = token[:place] + letter + token[place + 1 :]
            opened = open_(KEYS, Purpose.INVITATION, altered, now=NOW)
            assert opened in (ID, INVALID)
            if opened == ID and altered != token:
                same += 1
                assert place in (26, 70)
    assert same == 3 + 3


@pytest.mark.parametrize(
    "text",
    [
        "",
        ".",
        a_token()[:-1],
        a_token()[1:],
        a_token() + "A",
        a_token() + "\n",
        a_token() + "=",
        " " + a_token(),
        a_token().replace(".", ""),
        a_token().replace(".", "!"),
        a_token().replace(".", ".."),
        "!" + a_token()[1:],
        "Ａ" + a_token()[1:],
        a_token().split(".")[0],
        a_token().lower(),
    ],
)
def test_what_is_no_token_is_invalid(text: str) -> None:
    assert open_(KEYS, Purpose.INVITATION, text, now=NOW) is INVALID


@given(st.text(max_size=90))
def test_no_text_raises(text: str) -> None:
    assert open_(KEYS, Purpose.INVITATION, text, now=NOW) == Invalid()


@pytest.mark.parametrize("length", [0, 14, 16])
def test_an_id_of_another_length_is_not_signed(length: int) -> None:
    with pytest.raises(ValueError, match="15 bytes"):
        sign(KEYS, Purpose.SEND, id=b"x" * length, expires_at=LATER)


@pytest.mark.parametrize("keys", [(), (b"k" * 31,), (OLD, b"")])
def test_links_need_good_keys(keys: tuple[bytes, ...]) -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        LinkKeys(keys)


def test_keys_are_not_shown() -> None:
    assert repr(KEYS) == str(KEYS) == "LinkKeys(***)"


@given(IDS)
def test_a_short_code_is_eight_digits_and_always_the_same(link_id: bytes) -> None:
    code = short_code(KEYS, link_id)
    assert len(code) == 8
    assert code.isascii()
    assert code.isdecimal()
    assert code == short_code(LinkKeys((NEW,)), link_id)
    assert read_short_code(f" {code[:4]} {code[4:]} ") == code


def test_short_codes_that_are_out_there_stay_readable() -> None:
    assert short_code(KEYS, ID) == "37562388"


def test_short_codes_keep_leading_zeros() -> None:
    codes = [short_code(KEYS, n.to_bytes(15, "big")) for n in range(200)]
    assert any(code.startswith("0") for code in codes)
    assert {len(code) for code in codes} == {8}


def test_a_code_is_stored_under_the_newest_key_and_looked_up_under_all() -> None:
    index = short_code_index(KEYS, "12345678")
    assert len(index) == 16
    assert index == short_code_index(LinkKeys((NEW,)), "12345678")
    assert index != short_code_index(KEYS, "12345679")
    assert short_code_indexes(KEYS, "12345678") == (index, short_code_index(LinkKeys((OLD,)), "12345678"))


@pytest.mark.parametrize(
    "text",
    [
        "12345678",
        "1234 5678",
        "１２３４　５６７８",
        "1234-5678",
        "1234－5678",
        "1234ー5678",
        "1234ｰ5678",
        "1234−5678",
        "1234–5678",
        "1234—5678",
        " 12 34 56 78\r\n",
        "1234\u00a05678",
    ],
)
def test_a_code_is_read_however_a_phone_groups_it(text: str) -> None:
    assert read_short_code(text) == "12345678"


@pytest.mark.parametrize(
    "text", ["", "1234567", "123456789", "1234567a", "1234.5678", "١٢٣٤٥٦٧٨", "1" * 1000, "1 2" * 30]
)
def test_what_is_no_code_is_none(text: str) -> None:
    assert read_short_code(text) is None


@given(st.text(max_size=60))
def test_compact_text_is_compact(text: str) -> None:
    once = compact(text)
    assert not any(letter.isspace() for letter in once)
    assert "-" not in once


def test_a_long_text_is_not_looked_at() -> None:
    assert compact("a" * 64) == "a" * 64
    assert compact("a" * 65) == ""

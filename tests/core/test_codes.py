import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailgate.core.codes import ALPHABET, ONE_TIME_LETTERS, read_one_time, shown_one_time

CODES = st.text(alphabet=ALPHABET, min_size=ONE_TIME_LETTERS, max_size=ONE_TIME_LETTERS)


def test_the_alphabet_has_nothing_that_is_mistaken_for_another() -> None:
    assert len(set(ALPHABET)) == len(ALPHABET) == 22
    assert not set(ALPHABET) & set("0O1IL2Z5S8BUV")


@given(CODES)
def test_what_is_printed_reads_back(code: str) -> None:
    assert read_one_time(shown_one_time(code)) == code


@pytest.mark.parametrize(
    "typed", ["acdef-ghjkm", " ACDEF GHJKM ", "ＡＣＤＥＦ－ＧＨＪＫＭ", "ACDEFーGHJKM", "a c d e f g h j k m", "ACDEF‐GHJKM\n"]
)
def test_a_code_is_read_in_whatever_case_width_and_grouping(typed: str) -> None:
    assert read_one_time(typed) == "ACDEFGHJKM"


@pytest.mark.parametrize("typed", ["", "ACDEF-GHJK", "ACDEF-GHJKMM", "OCDEF-GHJKM", "yuki-no-asa-5", "A" * 5000, "ＡＣＤＥＦ－ＧＨＪＫ＠"])
def test_anything_else_is_no_code(typed: str) -> None:
    assert read_one_time(typed) is None


@given(st.text(max_size=80))
def test_no_text_raises(typed: str) -> None:
    code = read_one_time(typed)
    assert code is None or len(code) == ONE_TIME_LETTERS

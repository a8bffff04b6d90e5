"""Words for what the tables hold."""

from datetime import date

import pytest

from mailgate.core.instants import HOUR, Instant
from mailgate.journeys.words import class_words, local_date
from tests.fakes import NEW_YEAR_2026


@pytest.mark.parametrize(
    "grade, class_name, words",
    [
        (3, "1", "3年1組"), (3, "10", "3年10組"), (3, "A", "3年A組"), (3, "い", "3年い組"), (3, "たんぽぽ", "3年 たんぽぽ"),
        (3, "複式", "3年 複式"), (9, None, "9年"), (None, None, ""), (None, "1", ""),
    ],
)  # fmt: skip
def test_a_class_in_words(grade: int | None, class_name: str | None, words: str) -> None:
    assert class_words(grade, class_name) == words


@pytest.mark.parametrize("hours, day", [(-1, date(2025, 12, 31)), (0, date(2026, 1, 1)), (23, date(2026, 1, 1)), (24, date(2026, 1, 2))])
def test_a_day_is_the_citys(hours: int, day: date) -> None:
    assert local_date(Instant(NEW_YEAR_2026 + hours * HOUR), "Asia/Tokyo") == day

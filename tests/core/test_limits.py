import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailgate.core.instants import DAY, HOUR, MINUTE, SECOND, Instant
from mailgate.core.limits import DOMAIN_BUCKET, GLOBAL_BUCKET, NETWORK_BUCKET, Bucket, may_answer, network_of

NOW = Instant(1_800_000_000 * SECOND)


@pytest.mark.parametrize(
    "ages, may",
    [
        ([], True),
        ([0], False),
        ([59 * SECOND], False),
        ([MINUTE - 1], False),
        ([MINUTE], True),
        ([MINUTE, 2 * MINUTE], True),
        ([MINUTE, 2 * MINUTE, 3 * MINUTE], False),
        ([3 * MINUTE, MINUTE, 2 * MINUTE], False),
        ([MINUTE, 2 * MINUTE, HOUR], True),
        ([2 * HOUR, 3 * HOUR, 4 * HOUR, 5 * HOUR, 6 * HOUR], True),
        ([2 * HOUR, 3 * HOUR, 4 * HOUR, 5 * HOUR, 6 * HOUR, 7 * HOUR], False),
        ([2 * HOUR, 3 * HOUR, 4 * HOUR, 5 * HOUR, 6 * HOUR, DAY], True),
        ([2 * DAY] * 100, True),
    ],
)
def test_an_address_is_answered_once_a_minute_thrice_an_hour_six_times_a_day(ages: list[int], *, may: bool) -> None:
    assert may_answer([Instant(NOW - age) for age in ages], now=NOW) is may


def test_a_clock_that_was_a_year_ahead_silences_nobody() -> None:
    assert may_answer([Instant(NOW + 365 * DAY)] * 9, now=NOW)
    assert not may_answer([Instant(NOW + SECOND)], now=NOW)


def test_who_asks_all_day_is_answered_six_times() -> None:
    replies: list[Instant] = []
    for minute in range(24 * 60):
        now = Instant(NOW + minute * MINUTE)
        if may_answer(replies, now=now):
            replies.append(now)
    assert len(replies) == 6


def _granted(bucket: Bucket, instants: list[int], tat: Instant | None = None) -> int:
    granted = 0
    for instant in instants:
        taken = bucket.take(tat, now=Instant(instant))
        if taken is not None:
            tat, granted = taken, granted + 1
    return granted


@pytest.mark.parametrize("bucket, burst", [(DOMAIN_BUCKET, 60), (NETWORK_BUCKET, 120), (GLOBAL_BUCKET, 100)])
def test_a_bucket_lets_its_burst_through_at_once_and_no_more(bucket: Bucket, burst: int) -> None:
    assert _granted(bucket, [NOW] * 1_000) == burst


@pytest.mark.parametrize("bucket", [DOMAIN_BUCKET, NETWORK_BUCKET, GLOBAL_BUCKET])
def test_a_bucket_refills_at_its_rate(bucket: Bucket) -> None:
    instants = [NOW] * bucket.burst + [NOW + bucket.period] * 1_000
    assert _granted(bucket, instants) == bucket.burst + bucket.rate


@pytest.mark.parametrize("bucket", [DOMAIN_BUCKET, NETWORK_BUCKET, GLOBAL_BUCKET])
def test_whoever_keeps_to_the_rate_is_never_refused(bucket: Bucket) -> None:
    step = bucket.period // bucket.rate
    assert _granted(bucket, [NOW + nth * step for nth in range(1_000)]) == 1_000


@given(st.lists(st.integers(0, 3 * HOUR), max_size=300).map(sorted))
def test_no_window_lets_through_more_than_burst_and_rate(offsets: list[int]) -> None:
    bucket = Bucket(rate=6, period=HOUR, burst=3)
    granted: list[int] = []
    tat: Instant | None = None
    for offset in offsets:
        taken = bucket.take(tat, now=Instant(NOW + offset))
        if taken is not None:
            tat = taken
            granted.append(offset)
    assert all(sum(start <= at < start + HOUR for at in granted) <= 6 + 3 for start in granted)


def test_a_clock_that_was_a_year_ahead_shuts_no_bucket() -> None:
    assert _granted(DOMAIN_BUCKET, [NOW] * 100, tat=Instant(NOW + 365 * DAY)) == 60


@pytest.mark.parametrize(
    "ip, network",
    [
        ("192.0.2.77", "192.0.2.0/24"),
        ("127.0.0.1", "127.0.0.0/24"),
        ("::ffff:192.0.2.77", "192.0.2.0/24"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("::1", "::/64"),
        ("", ""),
        ("unknown", "unknown"),
        ("192.0.2.300", "192.0.2.300"),
    ],
)
def test_neighbours_share_a_network(ip: str, network: str) -> None:
    assert network_of(ip) == network

"""Lock-out: how long a login has to wait after wrong passwords (MR-79). Waits grow, and nothing is ever locked for everybody.

What is wrong is counted by the pair of ID and client network. A pair has five tries, then each further one waits: a minute, two, four, up
to an hour, and what is a day old is forgotten. Whoever guesses from elsewhere is another pair, so nobody locks an owner out from there;
and a browser that logged in before is counted by itself alone, whatever else happens to its ID or its network.

A network from which many IDs were tried, and an ID that was tried from many networks, are under attack: there a pair has one try instead of
five. One is always left, for in a carrier's network the guesser's neighbour is another family, and the owner may be on a journey.
"""

from dataclasses import dataclass
from typing import Final

from mailgate.core.instants import DAY, HOUR, MINUTE, Instant

REMEMBERED: Final = DAY

FREE: Final = 5
FREE_UNDER_ATTACK: Final = 1
# Wrong tries within REMEMBERED, by a network or for an ID, from which on we speak of an attack.
ATTACK: Final = 30
FIRST_WAIT: Final = MINUTE
LONGEST_WAIT: Final = HOUR

# More than this nobody needs to count.
MOST_COUNTED: Final = 64


@dataclass(frozen=True, slots=True)
class Failures:
    """How many wrong tries are remembered, and the last of them."""

    count: int
    last: Instant | None


def wait_of_stranger(*, pair: Failures, network: Failures, login: Failures, now: Instant) -> int:
    """Microseconds that the next try of an ID from a network has to wait."""
    attacked = max(network.count, login.count) >= ATTACK
    return _wait(pair, free=FREE_UNDER_ATTACK if attacked else FREE, now=now)


def wait_of_known(failures: Failures, *, now: Instant) -> int:
    """The same for a browser that logged in before, and for who is logged in and asked once more."""
    return _wait(failures, free=FREE, now=now)


def _wait(failures: Failures, *, free: int, now: Instant) -> int:
    over = failures.count - free
    if over < 0 or failures.last is None:
        return 0
    # A failure from the future was written by a clock that has been set back since: it counts from now.
    waited = max(0, now - failures.last)
    return max(0, min(FIRST_WAIT << min(over, 10), LONGEST_WAIT) - waited)

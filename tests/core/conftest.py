"""What the tests of core may ask for: how long some work takes."""

import sys
import time
from collections.abc import Callable

import pytest


@pytest.fixture
def cpu_seconds() -> Callable[[Callable[[], object]], float]:
    """The processor time of some work, the best of three, since what else the machine does is not its fault.

    A tracer (coverage) slows every line several times over, which is taken off; quadratic work still takes far longer.
    """

    def measure(work: Callable[[], object]) -> float:
        best = float("inf")
        for _ in range(3):
            began = time.process_time()
            work()
            best = min(best, time.process_time() - began)
            if best < 0.01:
                break
        return best if sys.gettrace() is None else best / 15

    return measure

"""What the tests of core may ask for: how long some work takes."""

import sys
import time
from collections.abc import Callable

import pytest


@pytest.fixture
def cpu_seconds() -> Callable[[Callable[[], object]], float]:
    """The processor time of some work as a good machine would need it, the best of three.

    What is looked for is work that grows with the square of its input: that takes a hundred times as long. So a slow or busy machine is
    forgiven five times over, and a tracer (coverage), which slows every line, three times more.
    """

    def measure(work: Callable[[], object]) -> float:
        best = float("inf")
        for _ in range(3):
            began = time.process_time()
            work()
            best = min(best, time.process_time() - began)
            if best < 0.01:
                break
        return best / (5 if sys.gettrace() is None else 15)

    return measure

"""Figures: medians, spreads, percentiles and ratios. Pure.

A figure is what several rounds gave: its median stands for it, its lowest and highest say how far to believe it. A ratio is taken inside
each round, between two things that ran a few seconds apart, because a machine's speed drifts from minute to minute.
"""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """The median of some rounds, and the lowest and highest of them."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> "Spread":
        return cls(median=statistics.median(values), low=min(values), high=max(values))


def percentile(values: Sequence[float], share: float) -> float:
    """The value that this share of the values does not exceed."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def ratios(values: Sequence[float], reference: Sequence[float]) -> list[float]:
    """Round by round, how many times the reference; rounds that only one of them had are left out."""
    return [value / beside for value, beside in zip(values, reference, strict=False) if beside]


def short(value: float) -> str:
    """A number as a table shows it: three figures, thousands apart."""
    if math.isinf(value):
        return "never"
    if value >= 1_000:
        return f"{round(value, 2 - int(math.log10(value))):,.0f}"
    if value >= 100:
        return f"{value:.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"

"""Verdicts: what the sender must show (performance.md's goals), each held against the median of the rounds."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from bench.figures import Spread
from bench.rounds import Played


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """One goal: what it is about, its bound, and what was measured (None: it was not)."""

    about: str
    bound: float
    sense: Literal["at least", "at most"]
    unit: str = ""
    got: Spread | None

    @property
    def holds(self) -> bool | None:
        if self.got is None:
            return None
        return self.got.median >= self.bound if self.sense == "at least" else self.got.median <= self.bound


def verdicts(played: Played) -> list[Verdict]:
    """All goals."""
    better = max(("postfix_takes", "postfix_source"), key=lambda key: Spread.of(played.of(key) or [0.0]).median)
    claims = played.figures.get("claims", [])
    city = played.of("drain")
    million = [rate / Spread.of(city).median for rate in played.of("million")] if city else []
    return [
        _at_least("our drain, times `smtp-source -d` (0.80 is the goal)", 0.70, played.beside("drain", "source")),
        _at_least("our drain, times Postfix's", 8, played.beside("drain", "postfix")),
        _at_least("our drain, times plain aiosmtplib as it comes", 3.5, played.beside("drain", "as_it_comes")),
        _at_least("our drain with RSA-2048, times `smtp-source -d`", 0.20, played.beside("signed", "source")),
        _at_most("loop stall while draining, 99th percentile", 20, played.of("drain", "late_p99_ms"), " ms"),
        _at_least("1,000,000 recipients, times the rate of 36,000", 1, million),
        _at_most("1,000,000 recipients, most memory", 120, played.of("million", "memory_mib"), " MiB"),
        _at_most("1,000,000 recipients, memory at the end, times that after a tenth", 1.1, played.of("million", "growth")),
        _at_most("claim at 10 M rows, times that at 1 M", 1.1, [each["many_ms"] / each["few_ms"] for each in claims]),
        _at_least("taking in blank mails, times Postfix's smtpd", 1.3, played.beside("takes", better)),
        _at_most("round trip at 50 a second, median, times the bare exchange", 5, played.beside("trip", "bare", "p50_50")),
        _at_most("round trip at 50 a second, 99th percentile, times the bare exchange", 20, played.beside("trip", "bare", "p99_50")),
        _at_least("50 ms away, 20 connections", 150, played.of("far"), " msg/s"),
    ]


def _at_least(about: str, bound: float, got: Sequence[float], unit: str = "") -> Verdict:
    return Verdict(about=about, bound=bound, sense="at least", unit=unit, got=Spread.of(got) if got else None)


def _at_most(about: str, bound: float, got: Sequence[float], unit: str = "") -> Verdict:
    return Verdict(about=about, bound=bound, sense="at most", unit=unit, got=Spread.of(got) if got else None)

"""The report: a run as one page of Markdown."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from bench.figures import Spread, short
from bench.ground import Sizes
from bench.machine import Machine
from bench.rounds import OTHERS, Played
from bench.verdicts import Verdict, verdicts

SENDING = ("source", "drain", "overlapped", "signed", "plain", "as_it_comes", "postfix")
TAKING = ("takes", "takes_and_sends", "postfix_takes", "postfix_source")
OURS = ("drain", "overlapped", "signed", "takes", "takes_and_sends")

_HEAD = """\
Written by `make bench`; [docs/performance.md](../docs/performance.md) says how it is measured. A figure is the median of the rounds, with
their lowest and highest; a ratio is taken inside each round."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """All that the report says."""

    played: Played
    machine: Machine
    sizes: Sizes
    begun: datetime
    took_s: float
    loads: tuple[float, float]  # before and after


def report(run: Run) -> str:
    """The page."""
    parts = [
        "# What the bench measured",
        _HEAD,
        _conditions(run),
        "## Must show",
        _table(("what", "asked", "measured", "holds"), map(_verdict_row, verdicts(run.played))),
        "![the same as bars](results.svg)",
        "## Sending",
        _rates(run.played, SENDING, "msg/s", "source"),
        _drains(run.played),
        "## Taking in",
        _rates(run.played, TAKING, "mails/s", "postfix_source"),
        "## Round trip",
        _trips(run),
        "## Claims",
        _claims(run),
        "## From afar",
        _rates(run.played, ("far",), "msg/s", None),
        *_left_out(run.played),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _conditions(run: Run) -> str:
    machine, sizes = run.machine, run.sizes
    others = [figures[OTHERS] for rounds in run.played.figures.values() for figures in rounds]
    busy = f"Other programs took {Spread.of(others).median:.0%} of it meanwhile (median of the measurements; the most {max(others):.0%}). "
    lines = [
        f"- {run.begun:%Y-%m-%d %H:%M} UTC, {run.took_s / 60:.1f} minutes, {sizes.rounds} rounds.",
        f"- {machine.processor}, {machine.cores} cores that run everything, sink included; {machine.memory_gib:.0f} GiB; {machine.kernel}.",
        f"- Python {machine.python}, SQLite {machine.sqlite}; {machine.filesystem}, an fsync of 4 KB takes {machine.fsync_ms:.2f} ms.",
        f"- {busy if others else ''}Load {run.loads[0]:.1f} before, {run.loads[1]:.1f} after.",
        f"- Recipients {sizes.city:,}, with RSA {sizes.slow:,}, from afar {sizes.far:,}.",
        f"- Mails in Postfix's queue {sizes.queue:,}, visitors {sizes.visitors:,}.",
    ]
    return "\n".join(lines)


def _verdict_row(verdict: Verdict) -> Sequence[str]:
    asked = f"{verdict.sense} {short(verdict.bound)}{verdict.unit}"
    if verdict.got is None:
        return verdict.about, asked, "not measured", ""
    return verdict.about, asked, _shown(verdict.got) + verdict.unit, "yes" if verdict.holds else "**no**"


def _shown(spread: Spread) -> str:
    if spread.low == spread.high:
        return short(spread.median)
    return f"{short(spread.median)} ({short(spread.low)}–{short(spread.high)})"


def _figure(values: Sequence[float]) -> str:
    return _shown(Spread.of(values)) if values else ""


def _rates(played: Played, keys: Iterable[str], unit: str, reference: str | None) -> str:
    rows = []
    measured = reference if reference in played.titles else None  # or left out by --only
    for key in keys:
        rates = played.of(key)
        if rates:
            ratio = [_figure(played.beside(key, measured))] if measured else []
            others = f"{Spread.of(played.of(key, OTHERS)).median:.0%}"
            rows.append((played.titles[key], _figure(rates), *ratio, others))
    named = [f"times {played.titles[measured]}"] if measured else []
    return _table(("what", unit, *named, "others' share"), rows)


def _drains(played: Played) -> str:
    names = ("took_s", "memory_mib", "growth", "first_rate", "last_rate", "late_p50_ms", "late_p99_ms", "late_max_ms")
    head = (
        *("what", "seconds", "most memory, MiB", "memory at the end, times that after a tenth", "msg/s in the first tenth", "in the last"),
        *("loop late, median ms", "99th percentile", "most"),
    )
    known = [key for key in ("drain", "overlapped", "signed", "million") if played.of(key)]
    return _table(head, [(played.titles[key], *(_figure(played.of(key, name)) for name in names)) for key in known])


def _trips(run: Run) -> str:
    rows = []
    for key in ("trip", "bare"):
        for rate, count in run.sizes.strokes:
            times = [run.played.of(key, f"{name}_{rate}") for name in ("p50", "p99")]
            if all(times):
                rows.append((run.played.titles[key], str(rate), str(count), *map(_figure, times)))
    return _table(("what", "mails a second", "mails a round", "median ms", "99th percentile ms"), rows)


def _claims(run: Run) -> str:
    played, rows = run.played, []
    for name, owed in zip(("few", "many"), run.sizes.rows, strict=True):
        times = [played.of("claims", f"{name}{part}_ms") for part in ("", "_commit")]
        if all(times):
            rows.append((f"{owed:,}", *map(_figure, times)))
    return _table(("rows owed", "claim of 500, ms", "its COMMIT, ms"), rows)


def _left_out(played: Played) -> Iterable[str]:
    if played.left_out:
        yield "## Left out"
        yield "\n".join(f"- {played.titles[key]}: {reason}." for key, reason in played.left_out.items())


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines) if len(lines) > 2 else "Nothing was measured."

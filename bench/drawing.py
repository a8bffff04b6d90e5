"""The drawing: the rates of a run and its round trips as bars, in plain SVG. A bar is the median, the line goes from lowest to highest."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Final

from bench.figures import Spread, short
from bench.report import OURS, SENDING, TAKING, Run

_WIDTH: Final = 860
_LABELS: Final = 330
_BARS: Final = 400
_ROW: Final = 26
_OURS: Final = "#1f6f8b"
_THEIRS: Final = "#b9b4a7"
_INK: Final = "#222222"
_FONT: Final = "font-family='sans-serif' font-size='13'"


@dataclass(frozen=True, slots=True)
class Bar:
    """One thing beside others."""

    label: str
    spread: Spread
    ours: bool


@dataclass(frozen=True, slots=True)
class Panel:
    """Bars on one scale."""

    title: str
    bars: Sequence[Bar]

    @property
    def height(self) -> int:
        return _ROW * (len(self.bars) + 2)


def drawing(run: Run) -> str:
    """The whole picture."""
    panels = [panel for panel in (*_rate_panels(run), *_trip_panels(run)) if panel.bars]
    body, top = [], 10
    for panel in panels:
        body.append(_panel(panel, top))
        top += panel.height
    head = f"<svg xmlns='http://www.w3.org/2000/svg' width='{_WIDTH}' height='{top}' viewBox='0 0 {_WIDTH} {top}' {_FONT}>"
    return "\n".join([head, f"<rect width='{_WIDTH}' height='{top}' fill='#ffffff'/>", *body, "</svg>"]) + "\n"


def _rate_panels(run: Run) -> list[Panel]:
    def bars(keys: Sequence[str]) -> list[Bar]:
        known = [(key, rates) for key in keys if (rates := run.played.of(key))]
        return [Bar(run.played.titles[key].replace("`", ""), Spread.of(rates), key in OURS) for key, rates in known]

    return [Panel("Sending, messages a second", bars(SENDING)), Panel("Taking in, mails a second", bars(TAKING))]


def _trip_panels(run: Run) -> list[Panel]:
    panels = []
    for name, title in (("p50", "median"), ("p99", "99th percentile")):
        bars = [
            Bar(f"{run.played.titles[key]}, {rate}/s", Spread.of(times), key == "trip")
            for rate, _ in run.sizes.strokes
            for key in ("trip", "bare")
            if (times := run.played.of(key, f"{name}_{rate}")) and math.isfinite(max(times))
        ]
        panels.append(Panel(f"Round trip, {title}, milliseconds", bars))
    return panels


def _panel(panel: Panel, top: int) -> str:
    most = max(bar.spread.high for bar in panel.bars) or 1.0
    lines = [f"<text x='10' y='{top + 18}' fill='{_INK}' font-weight='bold'>{escape(panel.title)}</text>"]
    for number, bar in enumerate(panel.bars, 1):
        lines += _bar(bar, top + number * _ROW, _BARS / most)
    return "\n".join(lines)


def _bar(bar: Bar, y: int, scale: float) -> list[str]:
    low, median, high = (_LABELS + value * scale for value in (bar.spread.low, bar.spread.median, bar.spread.high))
    middle, colour = y + _ROW / 2, _OURS if bar.ours else _THEIRS
    return [
        f"<text x='{_LABELS - 8}' y='{y + 17}' text-anchor='end' fill='{_INK}'>{escape(bar.label)}</text>",
        f"<rect x='{_LABELS}' y='{y + 4}' width='{median - _LABELS:.1f}' height='{_ROW - 8}' fill='{colour}'/>",
        f"<line x1='{low:.1f}' y1='{middle}' x2='{high:.1f}' y2='{middle}' stroke='{_INK}'/>",
        f"<text x='{high + 8:.1f}' y='{y + 17}' fill='{_INK}'>{short(bar.spread.median)}</text>",
    ]

"""The story: what the demo tells as it happens, and what it found to be wrong.

What is not as it must be is told at once and counted, and the demo goes on to see more; what makes going on senseless is raised as Amiss.
Addresses are printed because the demo plays their owners. The gate itself shows none to anybody.
"""

import unicodedata
from collections.abc import Sequence
from typing import Final

import click

_WIDE: Final = frozenset("WF")


class Amiss(Exception):
    """Something is not as it must be, and the demo cannot go on; the text says what."""


class Story:
    """Prints."""

    def __init__(self) -> None:
        self.faults: list[str] = []

    def chapter(self, title: str) -> None:
        """What comes now."""
        click.echo(f"\n{title}")

    def say(self, *cells: str, widths: Sequence[int] = ()) -> None:
        """One step, in one line; all cells but the last are as wide as told."""
        padded = [_padded(cell, width) for cell, width in zip(cells, widths, strict=False)]
        click.echo("  " + "  ".join([*padded, *cells[len(padded) :]]).rstrip())

    def check(self, holds: bool, fault: str) -> None:
        """If it does not hold, the fault is told and the demo will end with 1."""
        if not holds:
            self.faults.append(fault)
            click.echo(f"  !! {fault}")

    def table(self, rows: Sequence[Sequence[object]]) -> None:
        """Rows under a head; numbers stand to the right."""
        cells = [[_cell(value) for value in row] for row in rows]
        widths = [max(_width(row[column]) for row in cells) for column in range(len(cells[0]))]
        numeric = [all(isinstance(row[column], int | float) for row in rows[1:]) for column in range(len(widths))]
        for row in cells:
            columns = zip(row, widths, numeric, strict=True)
            line = "  ".join(_padded(cell, width, right=right) for cell, width, right in columns)
            click.echo("  " + line.rstrip())


def _cell(value: object) -> str:
    match value:
        case float():
            return f"{value:.1f}"
        case int():
            return f"{value:,}"
        case _:
            return str(value)


def _padded(text: str, width: int, *, right: bool = False) -> str:
    blanks = " " * (width - _width(text))
    return blanks + text if right else text + blanks


def _width(text: str) -> int:
    return sum(2 if unicodedata.east_asian_width(char) in _WIDE else 1 for char in text)

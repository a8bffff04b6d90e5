"""Admission: what the gate says of a recipient before it has seen the mail.

Three answers and no more, so that a stranger learns only whether a box exists: all boxes look alike, and so do all that are none.
"""

from enum import Enum


class Admission(Enum):
    """Whether mail for a recipient may come in."""

    OURS = "ours"  # a box of the gate
    UNKNOWN = "unknown"  # our domain, but no such box: 550 5.1.1
    FOREIGN = "foreign"  # somebody else's domain: taking it would be relaying, 550 5.7.1

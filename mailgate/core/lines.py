"""Lines: octets that may go over the wire as they are, because all of them are lines of ASCII, each ended by CRLF.

A CR or LF by itself ends a line for some servers and not for others: what one of them takes for the end of a mail is the beginning of a
smuggled one for another. So whoever makes octets for a mail has them looked at here, once; what is joined from lines is lines.
"""

from typing import Final, NewType

Lines = NewType("Lines", bytes)

_CRLF: Final = b"\r\n"


class NotLines(ValueError):
    """The text says what is wrong, and nothing of the octets."""


def lines(octets: bytes) -> Lines:
    """The same octets, known to be lines.

    Raises:
        NotLines: there is one that is not ASCII, a CR or LF by itself, or a last line without end.
    """
    if not octets.isascii():
        raise NotLines("the content is not ASCII")
    ends = octets.count(_CRLF)
    if not octets.endswith(_CRLF) or octets.count(b"\r") != ends or octets.count(b"\n") != ends:
        raise NotLines("a line of the content does not end in CRLF")
    return Lines(octets)

"""Content: the octets between DATA and the end of the mail, told apart without any I/O.

Only CR LF dot CR LF ends a mail, whole and in this order; what stands after any other mixture of CR, LF, NUL and dots is content
(RFC 5321 section 4.1.1.4: else the peer and we could disagree where a mail ends, and a second mail be smuggled in). A dot that was added
at the head of a line is taken away (section 4.5.2) and nothing else is changed. No line is too long. Beyond the limit
the content is let go at once and only counted, so a peer costs us the limit and never what it sends.

The end is searched for in the octets as they come; what may be the first part of it stays in the caller's buffer until more is known.
"""

from typing import Final

_END: Final = b"\r\n.\r\n"
_CRLF: Final = b"\r\n"
_PIECE: Final = 65_536  # pieces are filled up to this, so that many tiny packets do not become many tiny objects


class Content:
    """What has been read of one mail, up to so many octets."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._pieces: list[bytearray] = []
        self._opened = False
        self.octets = 0

    def feed(self, data: bytearray) -> bool:
        """Take from `data` what belongs to the mail, leave what does not or may not; True when the mail has ended."""
        if not self._opened:
            # DATA's own line is the first line end: a dot on the very first line ends an empty mail.
            self._opened = True
            self.octets = -len(_CRLF)
            data[:0] = _CRLF
        end = data.find(_END)
        if end < 0:
            taken = len(data) - _undecided(data)
            self._keep(data[:taken])
            del data[:taken]
            return False
        self._keep(data[: end + len(_CRLF)])
        del data[: end + len(_END)]
        return True

    @property
    def is_too_big(self) -> bool:
        """Whether the mail has more octets than it may."""
        return self.octets > self._limit

    def whole(self) -> bytes:
        """The mail as it was meant, to be asked when it has ended and is not too big."""
        content = b"".join(self._pieces)
        self._pieces.clear()
        return content

    def _keep(self, octets: bytearray) -> None:
        piece = octets.replace(b"\r\n.", _CRLF)
        if self.octets < 0 and piece:
            del piece[: len(_CRLF)]
            self.octets = 0
        self.octets += len(piece)
        if self.is_too_big:
            self._pieces.clear()
        elif self._pieces and len(self._pieces[-1]) < _PIECE:
            self._pieces[-1] += piece
        else:
            self._pieces.append(piece)


def _undecided(data: bytearray) -> int:
    """How many octets at the end may be the first of CR LF dot CR LF."""
    return next((length for length in range(len(_END) - 1, 0, -1) if data.endswith(_END[:length])), 0)

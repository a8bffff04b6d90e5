"""Readers: how an address is written to, in which language and whether with links.

- A language is chosen by the box that was written to, or on a page, and stays with the address. Easy Japanese is for those who are
  learning it: short sentences, few kanji, and readings behind them.
- Some phones drop every mail with a URL in it, without a word to anybody. Nothing that goes to such an address holds `http`: its links
  are left out, and what other people wrote shows a page as it is printed on paper, without its scheme, which no phone takes for a link.
"""

import re
from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Final


class Language(StrEnum):
    """What an address is written to in; the value is the one in the database."""

    JA = "ja"
    EASY = "easy"
    EN = "en"


# Content-Language (RFC 3282). Easy Japanese is Japanese: no tag that programs know says more.
TAG: Final[Mapping[Language, str]] = MappingProxyType({Language.JA: "ja", Language.EASY: "ja", Language.EN: "en"})

_SCHEME: Final = re.compile("https?://", re.IGNORECASE)
_WORD: Final = re.compile("http", re.IGNORECASE)
_WIDE: Final = {code: code + 0xFEE0 for code in b"httpHTTP"}


def unlinked(text: str) -> str:
    """A text without `http`, whatever it was: URLs lose their scheme, and the word alone is written wide."""
    # Once is not enough for `hhttp://ttp://x`, and again and again would be quadratic: what is left is no URL any more when it is wide.
    return _WORD.sub(lambda found: found[0].translate(_WIDE), _SCHEME.sub("", text))

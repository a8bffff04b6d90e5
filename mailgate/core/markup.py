"""Markup: the text of an HTML page as a mail program would show it, near enough to be read and confirmed.

No parser of the stdlib, which takes quadratic time on pages made for it. One pass: tags go, blocks stand on lines of
their own, scripts, styles and comments are not text, references become characters. A tag that never ends is a tag; a
block that never ends hides the rest, as in a browser.
"""

import html
import re
from collections.abc import Iterator

_TAG = re.compile(r"<(?=[A-Za-z!?/])(/)?([A-Za-z][A-Za-z0-9]*+)?[^<>]*+>?")
_BLANKS = re.compile(r"[ \t\r\n\f]+")
_MANY_SPACES = re.compile(r" {2,}")
_MANY_FEEDS = re.compile(r"\n{3,}")
_HUGE_REFERENCE = re.compile(r"&#(?:[0-9]{8,}|[xX][0-9A-Fa-f]{8,});?")  # int() refuses thousands of digits
_HIDDEN = {name: re.compile(rf"</{name}", re.IGNORECASE) for name in ("script", "style", "title")}
_BLOCKS = frozenset(
    {
        *("address", "article", "blockquote", "body", "center", "dd", "div", "dl", "dt", "footer", "form"),
        *("h1", "h2", "h3", "h4", "h5", "h6", "header", "hr", "li", "main", "ol", "p", "pre", "section"),
        *("table", "tbody", "tr", "ul"),
    }
)
_CELLS = frozenset({"td", "th"})


def without_tags(page: str) -> str:
    """The text of a page."""
    text: list[str] = []
    fresh = True  # nothing stands on this line yet
    for piece, tag in _pieces(page):
        words = _words(piece, fresh=fresh)
        if words:
            text.append(words)
            fresh = False
        if tag == "br" or (tag in _BLOCKS and not fresh):
            text.append("\n")
            fresh = True
        elif tag in _CELLS and not fresh:
            text.append(" ")
    lines = _MANY_SPACES.sub(" ", "".join(text)).replace("\N{NO-BREAK SPACE}", " ").split("\n")
    return _MANY_FEEDS.sub("\n\n", "\n".join(line.rstrip(" ") for line in lines)).strip("\n")


def _pieces(page: str) -> Iterator[tuple[str, str]]:
    """Each run of text and the name of the tag that ends it, if it has one."""
    at = 0
    while tag := _TAG.search(page, at):
        start, name = tag.start(), (tag[2] or "").lower()
        yield page[at:start], name
        at = tag.end()
        if page.startswith("<!--", start):
            end = page.find("-->", start + 4)
            at = end + 3 if end >= 0 else len(page)
        elif name in _HIDDEN and not tag[1]:
            closes = _HIDDEN[name].search(page, at)
            at = closes.start() if closes else len(page)
    yield page[at:], ""


def _words(piece: str, *, fresh: bool) -> str:
    words = _BLANKS.sub(" ", piece)
    if fresh:
        words = words.lstrip(" ")
    return html.unescape(_HUGE_REFERENCE.sub("\N{REPLACEMENT CHARACTER}", words)) if "&" in words else words

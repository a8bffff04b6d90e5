"""Text: what a person wrote, out of what a mail program made of it.

Staff write a broadcast as a mail, so its words have to come out whole: plain text where there is any, else the page's
text without its tags; charsets as phones mislabel them; soft line breaks joined (RFC 3676). At most 128 KiB of a
mail's text are read, more than any broadcast may have. `cut_signature` then takes off what is not the message: a
signature under "-- " or under a ruled line, what a phone adds, and the mail that was answered. It guesses, so it
hands back what it cut, for the preview to show; and it never takes everything. Of a guardian's reply `own_words` says
what he wrote himself, and that may be nothing. Linear time on any bytes, and nothing is raised.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field

from mailgate.core import charsets
from mailgate.core.headers import decode_words, scan
from mailgate.core.markup import without_tags
from mailgate.core.mime import Part, leaves

READ = 128 * 1024

_LINE_END = re.compile("\r\n?|[\x0b\x0c\x85\u2028\u2029]")
_UNSEEN = re.compile("[\x00-\x08\x0e-\x1f\x7f-\x9f\ufeff\ud800-\udfff]+")
_SIGNED = frozenset({"application/pkcs7-signature", "application/x-pkcs7-signature", "application/pgp-signature"})


@dataclass(frozen=True, slots=True, kw_only=True)
class MailText:
    """What a mail says."""

    subject: str = field(repr=False)
    text: str = field(repr=False)
    attachments: int


def read_text(content: bytes, *, of_page: Callable[[str], str] = without_tags) -> MailText:
    """The words of a mail, and how many files came with them; `of_page` gives the words of an HTML page."""
    parts = leaves(content)
    text = _joined([part for part in parts if _is_text(part, "text/plain")], of_page)
    if not text.strip():
        text = _joined([part for part in parts if _is_text(part, "text/html")], of_page)
    subject = scan(content).first("subject") or ""
    return MailText(subject=decode_words(subject).strip(), text=text, attachments=sum(map(_is_file, parts)))


def _is_text(part: Part, type_: str) -> bool:
    named = part.parameter("filename") or part.parameter("name")
    return part.type == type_ and part.disposition != "attachment" and not named


def _is_file(part: Part) -> bool:
    if part.disposition == "attachment":
        return part.type not in _SIGNED
    if _is_text(part, "text/plain") or _is_text(part, "text/html") or part.type.startswith("multipart/"):
        return False
    # A picture with an id stands in the page: a phone's emoji, a school's badge.
    in_page = part.type.startswith("image/") and part.headers.first("content-id") is not None
    return not in_page and part.type not in _SIGNED


def _joined(parts: list[Part], of_page: Callable[[str], str]) -> str:
    """The parts one below the other: some programs cut the text at each picture."""
    texts: list[str] = []
    room = READ
    for part in parts:
        data = part.payload()[:room]
        room -= len(data)
        text = charsets.decode(data, part.parameter("charset"))
        texts.append(_words(part, _UNSEEN.sub("", _LINE_END.sub("\n", text)), of_page))
    return "\n".join(texts)


def _words(part: Part, text: str, of_page: Callable[[str], str]) -> str:
    if part.type == "text/html":
        return of_page(text)
    if part.parameter("format").lower() == "flowed":
        return _unflowed(text, delsp=part.parameter("delsp").lower() == "yes")
    return text


def _unflowed(text: str, *, delsp: bool) -> str:
    """Lines that end in a blank go on in the next one (RFC 3676 section 4); quoted lines are left as they are."""
    if " \n" not in text:
        return "\n".join(line.removeprefix(" ") for line in text.split("\n"))
    paragraphs: list[list[str]] = []
    soft = False
    for line in text.split("\n"):
        fixed = line.startswith(">") or line == "-- "
        if fixed or not soft:
            paragraphs.append([])
        soft = line.endswith(" ") and not fixed
        line = line.removeprefix(" ")
        paragraphs[-1].append(line[:-1] if soft and delsp else line)
    return "\n".join("".join(lines) for lines in paragraphs)


_SHORT = 8  # lines a signature may have
_NEAR = 24  # lines from the end in which a signature starts
_WIDE = 200  # a longer line is prose
_RULE = re.compile(r"[-_=~*+・･.－―—─━‐ー＿＝〜～☆★◇◆○●■□▽▼△▲♪◎※＊/\s]{4,}")
_CONTACT = re.compile(
    r"[@＠〒☎℡]|https?://|\b(?:tel|fax|e-?mail)\b|電話|ＴＥＬ|ＦＡＸ"
    r"|[0０][\d０-９]{1,4}[-‐－ー(（ ][\d０-９]{1,4}[-‐－ー)） ][\d０-９]{3,4}",
    re.IGNORECASE | re.ASCII,
)
_OFFICE = re.compile(r"[^:：。、]{0,30}(?:学校|学園|教育委員会|教育局)(?:\s[^:：。、]*)?")
_FOOTER = re.compile(
    r"(?:[^。]{0,30}から送信(?:しました|しています|されました|されています|されたメールです)?。?"
    r"|sent (?:from|with|via|using) (?:my )?[^.]{1,40}\.?|get outlook for .{1,60}|.{0,60}outlook.{0,60}を(?:入手|取得).{0,60})",
    re.IGNORECASE,
)
_ORIGINAL = re.compile(r"[-_]{2,}\s*(?:original message|元の(?:メッセージ|メール)|オリジナルメッセージ)\s*[-_]{2,}", re.IGNORECASE)
_SENDER_LINE = re.compile(r"\*?(?:差出人|送信者|from)\*?\s*[:：]", re.IGNORECASE)
_SENT_LINE = re.compile(r"\*?(?:送信日時|日時|sent|date)\*?\s*[:：]", re.IGNORECASE)
_INTRODUCES = re.compile(r"(?=.*(?:wrote|writes|のメール|書きました|メッセージ|[<@]|\d{4}[年/])).*[:：]", re.IGNORECASE)
# The same where the answered mail below it has no marks: a person does not write so.
_INTRODUCES_PLAIN = re.compile(r"(?=.*(?:@|wrote|writes|のメール|書きました)).*[:：]", re.IGNORECASE)
_DATED = re.compile(r"on .*\d.*|.*\d{4}[年/]\d.*[^。]", re.IGNORECASE)


def cut_signature(text: str) -> tuple[str, str]:
    """The message, and what stood below it: everything cut, in its order."""
    lines = text.split("\n")
    kept = len(lines)
    for keep in (_before_original, _before_quotes, _before_footer, _before_signature, _before_footer):
        shorter = keep(lines[:kept])
        if any(line.strip() for line in lines[:shorter]):
            kept = shorter
    return "\n".join(lines[:kept]).rstrip(), "\n".join(lines[kept:]).strip("\n")


def own_words(text: str) -> str:
    """What a person wrote into a reply: nothing of the mail that was answered, of a signature, of a phone."""
    lines = text.split("\n")
    for keep in (
        *(_before_original, _before_introduction, _before_footer, _before_quotes),
        *(_before_footer, _before_signature, _before_footer),
    ):
        lines = lines[: keep(lines)]
    return "\n".join(lines).strip()


def _before_original(lines: list[str]) -> int:
    """Programs that do not mark each line of the mail that was answered put a line or its headers above it."""
    for at, line in enumerate(lines):
        if _fits(_ORIGINAL, line):
            return at
        if _SENDER_LINE.match(line) and any(_SENT_LINE.match(below) for below in lines[at + 1 : at + 3]):
            return at - 1 if at and _is_rule(lines[at - 1]) else at
    return len(lines)


def _before_introduction(lines: list[str]) -> int:
    """The line that introduces the answered mail, with or without marks below, and up to two above it that belong to it."""
    for at, line in enumerate(lines):
        if _fits(_INTRODUCES_PLAIN, line):
            for back in range(at, max(at - 3, -1), -1):
                if _is_blank(lines[back]):
                    break
                if _fits(_DATED, lines[back]):
                    return back
            return at
    return len(lines)


def _before_quotes(lines: list[str]) -> int:
    """Lines marked with > at the very end, and the line or two that introduce them."""
    at = _trimmed(lines, _is_quote)
    if not any(line.strip() for line in lines[at:]):
        return len(lines)
    if at and _fits(_INTRODUCES, lines[at - 1]):
        at -= 1
        if at and _fits(_DATED, lines[at - 1]) and not _fits(_DATED, lines[at]):  # one introduction on two lines
            at -= 1
    return at


def _before_footer(lines: list[str]) -> int:
    end = _trimmed(lines, _is_blank)
    return end - 1 if end and _fits(_FOOTER, lines[end - 1]) else len(lines)


def _before_signature(lines: list[str]) -> int:
    end = _trimmed(lines, _is_blank)
    near = range(max(0, end - _NEAR), end)
    for at in near:
        if lines[at].rstrip() == "--":  # RFC 3676 section 4.3, whose blank many programs lose
            return at
    rules = [at for at in near if _is_rule(lines[at])]
    if rules and rules[-1] == end - 1:
        end = rules.pop()  # the signature stands between two rules
    if not rules:
        return len(lines)
    block = [line for line in lines[rules[-1] + 1 : end] if line.strip()]
    # What stands under a rule may as well be the message: without a way to reach somebody it is no signature.
    return rules[-1] if len(block) <= _SHORT and any(map(_is_contact, block)) else len(lines)


def _trimmed(lines: list[str], is_junk: Callable[[str], bool]) -> int:
    """How many lines are left without the junk at their end."""
    end = len(lines)
    while end and is_junk(lines[end - 1]):
        end -= 1
    return end


def _is_blank(line: str) -> bool:
    return not line.strip()


def _is_quote(line: str) -> bool:
    return line.lstrip().startswith((">", "＞")) or _is_blank(line)


def _is_rule(line: str) -> bool:
    return _fits(_RULE, line)


def _is_contact(line: str) -> bool:
    return len(line) <= _WIDE and (_CONTACT.search(line) is not None or _fits(_OFFICE, line))


def _fits(pattern: re.Pattern[str], line: str) -> bool:
    return len(line) <= _WIDE and pattern.fullmatch(line.strip()) is not None

"""Replies: whether a guardian wrote something, or only pressed reply and sent.

An empty reply is a receipt. Nobody reads what is written, so whoever writes must be told so: a question that is taken for a receipt is
a question lost, and a receipt that is taken for a question only costs a mail. What is in doubt says something.

- The mail that was answered does not count, whether it is marked, introduced or stands in a box of an HTML page; nor do signatures and
  what a phone adds. Less than two letters or digits say nothing: phones refuse to send a mail without any, and a thumb is a yes.
- A subject counts where it is the writer's own. Under In-Reply-To, behind `Re:`, or led by a tag of ours it is the one that was answered.
- A file that came along says something; a picture that stands in the page does not.

Programs that do not look at Reply-To still say which mail they answer. Its Message-ID is keyed, so it is known to be ours.
"""

import re
from itertools import islice
from typing import Final

from mailgate.core.broadcast import KIND
from mailgate.core.headers import Headers, scan
from mailgate.core.markup import without_tags
from mailgate.core.text import own_words, read_text

_FEWEST: Final = 2  # letters or digits that say something

# Where programs put the mail that was answered: Apple and Thunderbird, Gmail, Yahoo, Outlook on the web and on phones, Proton.
_QUOTED: Final = re.compile(
    r"<(?:blockquote\b|[a-z]+\s[^<>]*?(?:gmail_quote|yahoo_quoted|divRplyFwdMsg|appendonsend|moz-cite-prefix|protonmail_quote))",
    re.IGNORECASE,
)
_ANSWERED: Final = re.compile(
    rf"(?:re|aw|sv|返信)(?:\[\d{{1,3}}\]|\^?\d{{1,3}})? ?[:：＞>]|【(?:{'|'.join(KIND)})】", re.IGNORECASE
)
# What phones write where nobody wrote a subject.
_NO_SUBJECT: Final = frozenset({"無題", "件名なし", "タイトルなし", "空メール", "no subject", "no title"})
_MESSAGE_ID: Final = re.compile(r"<([A-Za-z0-9]{1,64})@([A-Za-z0-9.-]{1,253})>")
_LAST: Final = 2_000  # characters of References that are looked at
_BRACKETS: Final = "()（）<>＜＞「」[] "


def is_empty_reply(content: bytes) -> bool:
    """Whether a mail to us says nothing of its own."""
    found = scan(content)
    mail = read_text(content, of_page=_above_quoted)
    if mail.attachments or _says_something(own_words(mail.text)):
        return False
    answers = found.first("in-reply-to") is not None or _ANSWERED.match(mail.subject) is not None
    subject = mail.subject.strip(_BRACKETS)
    return answers or subject.lower() in _NO_SUBJECT or not _says_something(subject)


def answered(headers: Headers, *, domain: str) -> str | None:
    """The token in the Message-ID of ours that a mail says it answers: the one of In-Reply-To, else the last of References."""
    named = _MESSAGE_ID.findall(f"{headers.first('references') or ''} {headers.first('in-reply-to') or ''}"[-_LAST:])
    ours = [token for token, host in named if host.lower() == domain.lower()]
    return str(ours[-1]) if ours else None


def _above_quoted(page: str) -> str:
    quoted = _QUOTED.search(page)
    return without_tags(page[: quoted.start()] if quoted else page)


def _says_something(text: str) -> bool:
    return len(list(islice((character for character in text if character.isalnum()), _FEWEST))) == _FEWEST

"""DMARC: what a domain publishes about mail in its name, and which names are one organisation's (RFC 9989).

We do not carry out policies, we ask one thing of them: somebody who publishes a record, whatever it wishes, says that his mail can be told
from forged mail. So every record counts, a `p=none` as well.

The organisational domain is found by the walk up the tree (section 4.10) and not by a list of public suffixes, which ages. A walk asks at
most eight times, because the middle of a long name is left out. A domain without any record is its own organisation.
"""

from dataclasses import dataclass
from typing import Final

from mailgate.core.lookups import Answer, Inquiry, Kind, Lack, Question, is_name, is_within, records

_LABELS: Final = 8  # a name of so many or more is walked from its last seven on, after itself


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """What of a record matters here."""

    strict_dkim: bool = False
    strict_spf: bool = False
    psd: str = "u"  # "y": below it stand many organisations; "n": the organisation begins here


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """What was found for a domain."""

    record: Record | None  # None: neither it nor its organisation publishes one
    organisation: str


def read_record(text: str) -> Record | None:
    """One TXT record; None if it is none of DMARC (section 4.7)."""
    version, *tags = (part.strip() for part in text.split(";"))
    if "".join(version.split()) != "v=DMARC1":
        return None
    values = {name.strip().lower(): value.strip().lower() for name, _, value in (tag.partition("=") for tag in tags)}
    return Record(
        strict_dkim=values.get("adkim") == "s",
        strict_spf=values.get("aspf") == "s",
        psd=values.get("psd", "u"),
    )


def policy_of(domain: str) -> Inquiry[Policy | Lack]:
    """The record that holds for a domain and its organisational domain (sections 4.10.1 and 4.10.2).

    Lack.UNKNOWN if a question on the way had no answer: what was not seen might have counted.
    """
    found: list[tuple[str, Record]] = []
    for name in walk(domain):
        record = _only(answer := (yield Question(f"_dmarc.{name}", Kind.TXT)))
        if answer is Lack.UNKNOWN:
            return Lack.UNKNOWN
        if record is None:
            continue
        found.append((name, record))
        if record.psd in ("n", "y"):
            break
    if not found:
        return Policy(record=None, organisation=domain)
    organisation, last = found[-1]  # the one with the fewest labels, or where the walk was told to stop
    if last.psd == "y" and organisation != domain:
        organisation = _one_below(organisation, domain)
    # Its own record comes first, then its organisation's, then that of whoever runs the names above.
    own = found[0] if found[0][0] == domain else next((each for each in found if each[0] == organisation), found[-1])
    return Policy(record=own[1], organisation=organisation)


def aligned(identifier: str, author: str, policy: Policy, *, strict: bool) -> Inquiry[bool | Lack]:
    """Whether what was proven (a DKIM or SPF domain) is the author's domain or, unless strict, its organisation's."""
    if identifier == author:
        return True
    if strict or not is_within(identifier, policy.organisation):
        return False
    if identifier == policy.organisation:
        return True
    # Below the organisation another may begin, which says so by a record of its own.
    other = yield from policy_of(identifier)
    return other if isinstance(other, Lack) else other.organisation == policy.organisation


def walk(domain: str) -> list[str]:
    """The names that are asked, from the domain up to the top."""
    labels = domain.split(".")
    first = 1 if len(labels) < _LABELS else len(labels) - _LABELS + 1
    names = [domain, *(".".join(labels[at:]) for at in range(first, len(labels)))]
    return [name for name in names if is_name(f"_dmarc.{name}")]


def _only(answer: Answer) -> Record | None:
    """The one record of DMARC in an answer; several are as good as none (section 4.10.1)."""
    read = [record for record in map(read_record, records(answer)) if record is not None]
    return read[0] if len(read) == 1 else None


def _one_below(name: str, domain: str) -> str:
    """The name on the way from `name` down to `domain`, one label longer than `name`."""
    count = name.count(".") + 2
    return ".".join(domain.split(".")[-count:])

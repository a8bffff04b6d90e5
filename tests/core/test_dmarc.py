import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailgate.core.dmarc import Policy, Record, aligned, policy_of, read_record, walk
from mailgate.core.lookups import Lack
from tests.zones import Zone

PLAIN = Record()
ONE_RECORD = Zone({"_dmarc.example.jp TXT": ["v=DMARC1; p=none"]})


@pytest.mark.parametrize(
    "text, record",
    [
        ("v=DMARC1; p=none", PLAIN),
        ("v=DMARC1;p=reject;rua=mailto:x@example.jp", PLAIN),
        ("v=DMARC1", PLAIN),
        ("v = DMARC1 ; p = none", PLAIN),
        ("v=DMARC1; p=none; adkim=s", Record(strict_dkim=True)),
        ("v=DMARC1; p=none; ASPF=S;", Record(strict_spf=True)),
        ("v=DMARC1; p=none; adkim=r; aspf=r", PLAIN),
        ("v=DMARC1; psd=y", Record(psd="y")),
        ("v=DMARC1; psd=N", Record(psd="n")),
        ("v=DMARC1; x; =; ;;", PLAIN),
        ("v=DMARC2; p=none", None),
        ("v=dmarc1; p=none", None),
        ("v=DMARC1x; p=none", None),
        ("p=none; v=DMARC1", None),
        ("v=spf1 -all", None),
        ("", None),
    ],
)
def test_a_record_is_read(text: str, record: Record | None) -> None:
    assert read_record(text) == record


@pytest.mark.parametrize(
    "domain, names",
    [
        ("jp", ["jp"]),
        ("example.jp", ["example.jp", "jp"]),
        ("a.b.c.d.e.f.jp", ["a.b.c.d.e.f.jp", "b.c.d.e.f.jp", "c.d.e.f.jp", "d.e.f.jp", "e.f.jp", "f.jp", "jp"]),
        (
            "a.b.c.d.e.f.g.h.jp",
            ["a.b.c.d.e.f.g.h.jp", "c.d.e.f.g.h.jp", "d.e.f.g.h.jp", "e.f.g.h.jp", "f.g.h.jp", "g.h.jp", "h.jp", "jp"],
        ),
    ],
)
def test_the_walk_goes_up_the_tree(domain: str, names: list[str]) -> None:
    assert walk(domain) == names


@given(st.lists(st.sampled_from(["a", "bb", "c" * 63]), min_size=1, max_size=126))
def test_the_walk_asks_eight_times_at_most(labels: list[str]) -> None:
    names = walk(".".join(labels))
    assert len(names) <= 8
    assert len(set(names)) == len(names)


@pytest.mark.parametrize(
    "domain, organisation, record",
    [
        ("example.jp", "example.jp", PLAIN),
        ("mail.example.jp", "example.jp", PLAIN),
        ("a.b.mail.example.jp", "example.jp", PLAIN),
        ("strict.example.jp", "example.jp", Record(strict_dkim=True)),  # its own record, its organisation's name
        ("a.strict.example.jp", "example.jp", PLAIN),  # neither its own nor its organisation's
        ("alone.example.jp", "alone.example.jp", Record(psd="n")),
        ("a.alone.example.jp", "alone.example.jp", Record(psd="n")),
        ("city.lg.jp", "city.lg.jp", Record(psd="y")),  # of those who run the suffix
        ("a.b.city.lg.jp", "city.lg.jp", Record(psd="y")),
        ("own.lg.jp", "own.lg.jp", PLAIN),
        ("a.own.lg.jp", "own.lg.jp", PLAIN),
        ("lg.jp", "lg.jp", Record(psd="y")),  # where the walk begins, a suffix is an organisation
        ("other.jp", "other.jp", None),
        ("two.jp", "two.jp", None),
        ("a.two.jp", "a.two.jp", None),
    ],
)
def test_the_organisation_is_found_by_the_walk(domain: str, organisation: str, record: Record | None) -> None:
    zone = Zone(
        {
            "_dmarc.example.jp TXT": ["other text", "v=DMARC1; p=none"],
            "_dmarc.strict.example.jp TXT": ["v=DMARC1; p=none; adkim=s"],
            "_dmarc.alone.example.jp TXT": ["v=DMARC1; p=none; psd=n"],
            "_dmarc.lg.jp TXT": ["v=DMARC1; p=reject; psd=y"],
            "_dmarc.own.lg.jp TXT": ["v=DMARC1; p=none"],
            "_dmarc.two.jp TXT": ["v=DMARC1; p=none", "v=DMARC1; p=reject"],
        }
    )
    assert zone.found(policy_of(domain)) == Policy(record=record, organisation=organisation)


@pytest.mark.parametrize("silent", ["_dmarc.mail.example.jp TXT", "_dmarc.example.jp TXT", "_dmarc.jp TXT"])
def test_what_nobody_answers_might_have_counted(silent: str) -> None:
    zone = Zone({"_dmarc.example.jp TXT": ["v=DMARC1; p=none"]}, unknown=[silent])
    assert zone.found(policy_of("mail.example.jp")) is Lack.UNKNOWN


def test_the_walk_stops_where_it_is_told_to() -> None:
    zone = Zone({"_dmarc.a.example.jp TXT": ["v=DMARC1; psd=n"]}, unknown=["_dmarc.example.jp TXT"])
    assert zone.found(policy_of("a.example.jp")) == Policy(record=Record(psd="n"), organisation="a.example.jp")


EXAMPLE = Policy(record=PLAIN, organisation="example.jp")


@pytest.mark.parametrize(
    "identifier, author, strict, is_aligned",
    [
        ("example.jp", "example.jp", False, True),
        ("example.jp", "example.jp", True, True),
        ("mail.example.jp", "example.jp", False, True),
        ("example.jp", "mail.example.jp", False, True),
        ("a.example.jp", "b.example.jp", False, True),
        ("mail.example.jp", "example.jp", True, False),
        ("example.jp", "mail.example.jp", True, False),
        ("other.jp", "example.jp", False, False),
        ("anexample.jp", "example.jp", False, False),
        ("jp", "example.jp", False, False),
        ("alone.example.jp", "example.jp", False, False),
        ("dead.example.jp", "example.jp", False, Lack.UNKNOWN),
        ("dead.example.jp", "example.jp", True, False),
    ],
)
def test_what_is_of_one_organisation_is_aligned(identifier: str, author: str, strict: bool, is_aligned: bool | Lack) -> None:
    zone = Zone(
        {"_dmarc.example.jp TXT": ["v=DMARC1; p=none"], "_dmarc.alone.example.jp TXT": ["v=DMARC1; psd=n"]},
        unknown=["_dmarc.dead.example.jp TXT"],
    )
    assert zone.found(aligned(identifier, author, EXAMPLE, strict=strict)) is is_aligned


@pytest.mark.parametrize("identifier", ["example.jp", "mail.example.jp", "other.jp"])
def test_nobody_is_asked_where_the_names_say_it(identifier: str) -> None:
    zone = Zone({})
    policy = Policy(record=PLAIN, organisation="mail.example.jp")
    zone.found(aligned(identifier, "mail.example.jp", policy, strict=False))
    assert zone.asked == []


def test_without_a_record_only_the_very_domain_is_aligned() -> None:
    policy = ONE_RECORD.found(policy_of("other.jp"))
    assert isinstance(policy, Policy)
    assert ONE_RECORD.found(aligned("other.jp", "other.jp", policy, strict=False)) is True
    assert ONE_RECORD.found(aligned("mail.other.jp", "other.jp", policy, strict=False)) is False

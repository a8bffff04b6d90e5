"""The sample city and the phones' mails are data that the demo and other tests count on; here are the laws they keep.

The files are read as text and octets, by nothing of ours: a fault in our own parsers must not hide one in the data.
"""

import csv
import re
import unicodedata
from collections import Counter, defaultdict
from pathlib import Path

import pytest

from tests.guards.repo import ROOT

DATA = ROOT / "data"
SAMPLE = DATA / "sample"
PHONES = DATA / "phones"

Row = dict[str, str]

COLUMNS = {
    SAMPLE / "schools.csv": ["slug", "name", "kind"],
    SAMPLE / "classes.csv": ["school", "grade", "slug", "name"],
    SAMPLE / "pupils.csv": ["school", "grade", "class", "name", "kana", "login_id"],
    SAMPLE / "contacts.csv": ["login_id", "kind", "label", "address"],
    SAMPLE / "staff.csv": ["role", "scope", "name", "address"],
    PHONES / "senders.csv": ["file", "sender", "expect"],
}
GRADES = {"elementary": range(1, 7), "junior": range(1, 4)}
SPECIAL = "tanpopo"
SPECIAL_NAME = "たんぽぽ"
ATEXT = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]{1,64}")
RESERVED = re.compile(r"(?:[a-z0-9-]+\.)+example\.(?:jp|com)")
# One- to four-character surnames, characters that character sets trip over, children from abroad, given names in kana.
VARIETY = [
    *"髙﨑𠮷々",
    *(r"^\S\s", r"^\S{3}\s", r"^\S{4}\s", r"^[ァ-ヺー]+\s", r"^[A-Z]"),
    *(r"\s[ぁ-ん]+$", r"\s[ァ-ヺー]+$", r"\s\S$", r"^\S+\s\S+\s\S+$"),
]
ODD_LOCAL_PARTS = {
    "two dots in a row": r".+\.\..+",
    "a dot at the end": r".+\.",
    "a dot at the start": r"\..+",
    "a hyphen at the start": r"-.+",
    "hyphens at the end": r"_.+__.+--",
    "slash and question mark": r".+/.+\?.+",
}


def rows(path: Path) -> list[Row]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, strict=True))


SCHOOLS = rows(SAMPLE / "schools.csv")
CLASSES = rows(SAMPLE / "classes.csv")
PUPILS = rows(SAMPLE / "pupils.csv")
CONTACTS = rows(SAMPLE / "contacts.csv")
STAFF = rows(SAMPLE / "staff.csv")
SENDERS = rows(PHONES / "senders.csv")
REPLY = [row for row in SENDERS if row["expect"] == "reply"]
SILENCE = [row for row in SENDERS if row["expect"] == "silence"]
SCHOOL_RANK = {row["slug"]: rank for rank, row in enumerate(SCHOOLS)}


def place(row: Row) -> tuple[str, str, str]:
    return row["school"], row["grade"], row["class"]


def by_login(contacts: list[Row]) -> dict[str, list[Row]]:
    grouped: dict[str, list[Row]] = defaultdict(list)
    for row in contacts:
        grouped[row["login_id"]].append(row)
    return grouped


@pytest.mark.parametrize("path", COLUMNS, ids=lambda path: path.name)
def test_every_table_has_its_columns_and_whole_tidy_rows(path: Path) -> None:
    raw = path.read_bytes()
    assert b"\r" not in raw
    assert raw.endswith(b"\n")
    assert not raw.startswith(b"\xef\xbb\xbf")
    with path.open(encoding="utf-8", newline="") as file:
        header, *lines = csv.reader(file, strict=True)
    assert header == COLUMNS[path]
    for line in lines:
        assert len(line) == len(header)
        assert all(cell == unicodedata.normalize("NFC", " ".join(cell.split())) for cell in line), line


def test_the_schools_are_the_three_that_scripts_are_told_of() -> None:
    kinds = {row["slug"]: row["kind"] for row in SCHOOLS}
    assert kinds == {"kita-es": "elementary", "minami-es": "elementary", "chuo-jhs": "junior"}


def test_every_grade_has_its_classes() -> None:
    expected = [
        (school["slug"], str(grade), slug, SPECIAL_NAME if slug == SPECIAL else slug)
        for school in SCHOOLS
        for grade in GRADES[school["kind"]]
        for slug in (["1", "2", SPECIAL] if school["kind"] == "elementary" else ["1", "2", "3", "4"])
    ]
    assert [(row["school"], row["grade"], row["slug"], row["name"]) for row in CLASSES] == expected


def test_there_are_nine_hundred_pupils_and_one_in_twenty_is_not_registered() -> None:
    assert len(PUPILS) == 900
    assert sum(not row["login_id"] for row in PUPILS) == 45


def test_every_class_has_pupils_and_every_pupil_a_class() -> None:
    sizes = Counter(place(row) for row in PUPILS)
    assert set(sizes) == {(row["school"], row["grade"], row["slug"]) for row in CLASSES}
    for (_, _, slug), size in sizes.items():
        assert size in (range(2, 4) if slug == SPECIAL else range(20, 31))


def test_every_class_has_somebody_registered() -> None:
    assert {place(row) for row in PUPILS if row["login_id"]} == {place(row) for row in PUPILS}


def test_pupils_stand_in_the_order_of_a_class_register() -> None:
    keys = [(SCHOOL_RANK[row["school"]], row["grade"], row["class"], row["kana"], row["name"]) for row in PUPILS]
    assert keys == sorted(keys)


def test_every_login_id_is_of_one_pupil_and_holds_nothing_that_is_refused() -> None:
    logins = [row["login_id"] for row in PUPILS if row["login_id"]]
    assert len(set(logins)) == len(logins)
    assert all(re.fullmatch(r"[a-z][a-z0-9-]{4,18}[a-z0-9]", login) for login in logins)


def test_kana_is_katakana_save_for_a_few_children_from_abroad() -> None:
    others = [row for row in PUPILS if not re.fullmatch("[ァ-ヺー]+(?: [ァ-ヺー]+)+", row["kana"])]
    assert sum(not row["kana"] for row in others) == 1
    latin = [row for row in others if row["kana"]]
    assert 2 <= len(latin) <= 10
    assert all(re.fullmatch("[A-Za-z]+(?: [A-Za-z]+)+", row["kana"]) for row in latin)


@pytest.mark.parametrize("pattern", VARIETY)
def test_names_are_as_various_as_a_real_roll(pattern: str) -> None:
    assert sum(bool(re.search(pattern, row["name"])) for row in PUPILS) >= 2


def test_a_few_pairs_of_pupils_bear_one_name_and_never_in_one_class() -> None:
    places = defaultdict(list)
    for row in PUPILS:
        places[row["name"]].append(place(row))
    pairs = [found for found in places.values() if len(found) > 1]
    assert 3 <= len(pairs) <= 8
    assert all(len(found) == len(set(found)) == 2 for found in pairs)
    assert any(one[:2] == other[:2] for one, other in pairs), "one pair is told apart by the class alone"


def test_every_registration_has_contacts_and_every_contact_a_registration() -> None:
    assert {row["login_id"] for row in CONTACTS} == {row["login_id"] for row in PUPILS if row["login_id"]}


def test_contacts_are_grouped_by_registration() -> None:
    assert [row["login_id"] for row in CONTACTS] == sorted(row["login_id"] for row in CONTACTS)


def test_there_are_eighteen_hundred_addresses() -> None:
    assert len({row["address"].lower() for row in CONTACTS}) == 1800


def test_an_address_is_written_in_one_way_only() -> None:
    """Identity folds case; a second spelling would be a second line for the same mailbox."""
    assert len({row["address"] for row in CONTACTS}) == len({row["address"].lower() for row in CONTACTS})
    assert any(row["address"] != row["address"].lower() for row in CONTACTS), "phones write capitals too"


def test_a_pupil_has_at_most_three_addresses_all_different() -> None:
    for contacts in by_login(CONTACTS).values():
        addresses = [row["address"] for row in contacts]
        assert len(addresses) == len(set(addresses)) <= 3
    assert {len(contacts) for contacts in by_login(CONTACTS).values()} == {1, 2, 3}


def test_a_pupils_own_phone_is_in_the_junior_school_and_comes_after_a_guardians() -> None:
    school = {row["login_id"]: row["school"] for row in PUPILS}
    for login, contacts in by_login(CONTACTS).items():
        kinds = [row["kind"] for row in contacts]
        assert kinds == sorted(kinds, key=["guardian", "pupil"].index)
        assert kinds[0] == "guardian"
        assert "pupil" not in kinds or school[login] == "chuo-jhs"
    assert 20 <= sum(row["kind"] == "pupil" for row in CONTACTS) <= 60


def test_every_contact_has_a_label_of_its_own_within_a_registration() -> None:
    for contacts in by_login(CONTACTS).values():
        labels = [row["label"] for row in contacts]
        assert all(labels)
        assert len(labels) == len(set(labels))


def test_an_address_is_shared_by_brothers_and_sisters_only() -> None:
    pupil = {row["login_id"]: row for row in PUPILS}
    users: dict[str, set[str]] = defaultdict(set)
    for row in CONTACTS:
        users[row["address"]].add(row["login_id"])
    families = {frozenset(logins) for logins in users.values() if len(logins) > 1}
    assert 90 <= len(families) <= 140
    assert {len(logins) for logins in families} == {2, 3}
    assert any(len({pupil[login]["school"] for login in logins}) > 1 for logins in families)
    for logins in families:
        written = [pupil[login]["name"].split() for login in logins]
        assert len({name[0] for name in written}) == 1, written


def test_every_address_is_one_that_carriers_give_at_a_reserved_domain() -> None:
    for row in CONTACTS + STAFF:
        local, _, domain = row["address"].rpartition("@")
        assert ATEXT.fullmatch(local), row
        assert RESERVED.fullmatch(domain), row
    domains = Counter(row["address"].rpartition("@")[2] for row in CONTACTS)
    assert len(domains) == 10
    assert min(domains.values()) >= 20


@pytest.mark.parametrize("pattern", ODD_LOCAL_PARTS.values(), ids=ODD_LOCAL_PARTS)
def test_odd_local_parts_are_among_them(pattern: str) -> None:
    locals_ = {row["address"].rpartition("@")[0] for row in CONTACTS}
    assert sum(bool(re.fullmatch(pattern, local)) for local in locals_) >= 5


def test_three_in_a_hundred_local_parts_are_odd() -> None:
    locals_ = {row["address"].rpartition("@")[0] for row in CONTACTS}
    assert sum(any(re.fullmatch(pattern, local) for pattern in ODD_LOCAL_PARTS.values()) for local in locals_) == 54


def test_staff_are_the_board_and_each_schools_head_and_teachers_each_within_their_scope() -> None:
    slugs = [row["slug"] for row in SCHOOLS]
    assert Counter(row["role"] for row in STAFF) == {"board": 2, "head": 3, "school": 6, "helpdesk": 1, "operator": 1}
    assert {row["scope"] for row in STAFF if row["role"] not in {"head", "school"}} == {"all"}
    assert [row["scope"] for row in STAFF if row["role"] == "head"] == slugs
    places = {f"{row['school']}.{row['grade']}" for row in CLASSES}
    places |= {f"{row['school']}.{row['grade']}-{row['slug']}" for row in CLASSES}
    scopes = [row["scope"] for row in STAFF if row["role"] == "school"]
    assert set(scopes) <= places
    assert Counter(scope.split(".")[0] for scope in scopes) == dict.fromkeys(slugs, 2)


def test_no_member_of_staff_shares_an_address() -> None:
    """The column is unique in the store, and a guardian's mailbox must not be able to send."""
    staff = [row["address"].lower() for row in STAFF]
    assert len(staff) == len(set(staff))
    assert not set(staff) & {row["address"].lower() for row in CONTACTS}


def test_the_senders_are_those_of_the_mails_that_are_there() -> None:
    assert sorted(row["file"] for row in SENDERS) == sorted(path.name for path in PHONES.glob("*.eml"))
    assert {row["expect"] for row in SENDERS} == {"reply", "silence"}
    assert all(row["file"].startswith("silent-") == (row["expect"] == "silence") for row in SENDERS)
    assert len(REPLY) >= 14
    assert len(SILENCE) >= 3


def test_every_mail_and_every_sender_differs_from_the_others() -> None:
    assert len({(PHONES / row["file"]).read_bytes() for row in SENDERS}) == len(SENDERS)
    assert len({row["sender"].lower() for row in SENDERS}) == len(SENDERS)


@pytest.mark.parametrize("row", SENDERS, ids=lambda row: row["file"])
def test_a_mail_keeps_the_line_ends_of_the_wire(row: Row) -> None:
    content = (PHONES / row["file"]).read_bytes()
    assert not re.search(rb"(?<!\r)\n|\r(?!\n)", content)
    assert not content or content.endswith(b"\r\n")


def test_git_is_told_to_leave_the_mails_alone() -> None:
    assert "*.eml -text" in (PHONES / ".gitattributes").read_text(encoding="ascii").splitlines()


@pytest.mark.parametrize("row", SENDERS, ids=lambda row: row["file"])
def test_a_senders_address_is_one_that_carriers_give(row: Row) -> None:
    local, _, domain = row["sender"].rpartition("@")
    assert row["sender"] == "<>" or (ATEXT.fullmatch(local) and re.fullmatch(r"[a-z0-9.-]+\.[a-z]+", domain))


@pytest.mark.parametrize("row", REPLY, ids=lambda row: row["file"])
def test_a_mail_that_gets_a_reply_is_from_its_envelopes_sender(row: Row) -> None:
    content = (PHONES / row["file"]).read_bytes()
    authors = re.findall(rb"(?im)^From:[^\r]*(?:\r\n[ \t][^\r]*)*", content)
    assert len(authors) == (0 if row["file"] in {"empty.eml", "no-headers.eml"} else 1)
    assert all(re.search(rb"[ <]" + re.escape(row["sender"].encode()) + rb">?\Z", author) for author in authors)


ODD_MAILS = [
    ("docomo-dotted.eml", rb"(?m)^\.:"),
    ("docomo-carrier-emoji.eml", rb"\xf8\xa0\xf9\x91"),
    ("ezweb-underscores.eml", rb"\x1b\$B\x75\x41"),
    ("softbank-carrier-emoji.eml", rb"\x1b\$Gj\x0f"),
    ("softbank-iphone-html.eml", rb"(?s)multipart/alternative.*text/html"),
    ("gmail-empty-alternative.eml", rb"(?s)multipart/alternative.*\r\n\r\n\r\n--"),
    ("shift-jis-signature.eml", rb"(?s)charset=shift_jis.*\x87\x8a.*\x87\x40"),
    ("iso-2022-jp-signature.eml", rb"(?s)charset=ISO-2022-JP.*\x1b\$B-!"),
    ("half-width-kana.eml", rb"\x1b\(I"),
    ("emoji-subject.eml", rb"Subject: =\?UTF-8\?B\?8J\+MuOc=\?="),
    ("no-subject.eml", rb"(?is)\A(?!.*\nsubject:).*\r\n\r\n"),
    ("no-body.eml", rb"(?s)\A(?:[^\r]+\r\n)+\r\n\Z"),
    ("no-blank-line.eml", rb"\A(?:[A-Z][A-Za-z-]*: [^\r]+\r\n)+\Z"),
    ("text-after-headers.eml", rb"\A(?:[A-Z][A-Za-z-]*: [^\r]+\r\n)+[^\r:]+\r\n\Z"),
    ("no-headers.eml", rb"\A(?:[^:\r]+\r\n)+\Z"),
    ("empty.eml", rb"\A\Z"),
    ("contact-photo.eml", rb"(?s)image/png.*base64.*\r\niVBORw0KGgo"),
    ("long-html-line.eml", rb"(?m)^<html>[^\r\n]{4000,16000}\r$"),
    ("exchange-phone.eml", rb"X-Auto-Response-Suppress: "),
    ("raw-shift-jis-headers.eml", rb"Subject: \x93\x6f\x98\x5e"),
    ("broken-charset.eml", rb"(?s)charset=\"\".*\0"),
    ("silent-auto-replied.eml", rb"Auto-Submitted: auto-replied\r\n"),
    ("silent-list.eml", rb"List-Id: "),
]


@pytest.mark.parametrize(("file", "oddity"), ODD_MAILS, ids=[file for file, _ in ODD_MAILS])
def test_a_mail_still_has_the_oddity_that_it_is_kept_for(file: str, oddity: bytes) -> None:
    """An editor that tidies a mail makes it worthless without a word."""
    assert re.search(oddity, (PHONES / file).read_bytes())


def test_the_readme_describes_every_mail() -> None:
    described = re.findall(r"(?m)^\| `([a-z0-9-]+)` \|", (PHONES / "README.md").read_text(encoding="utf-8"))
    assert sorted(f"{name}.eml" for name in described) == sorted(row["file"] for row in SENDERS)

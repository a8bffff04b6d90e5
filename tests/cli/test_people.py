"""school and staff: what they print is what scripts hold on to, and secrets are shown once."""

import re
from urllib.parse import parse_qs, unquote, urlsplit

import pytest

from tests.builders import Town
from tests.cli.run import Commands, live

STAFF = ("staff", "add", "--role", "school", "--name", "山川 校長")


def add_school(gate: Commands, slug: str = "kita-es", *options: str, kind: str = "elementary") -> dict[str, str]:
    return dict(gate.json("school", "add", slug, "--name", "北小学校", "--kind", kind, *options))


# Schools


def test_a_school_is_listed_as_scripts_read_it(gate: Commands) -> None:
    add_school(gate, "kita-es", "--class", "3-1", "--class", "3-tanpopo=たんぽぽ", "--class", "4-1")
    add_school(gate, "mori-gimu", kind="compulsory")
    assert gate.json("school", "list") == [
        {"slug": "mori-gimu", "name": "北小学校", "kind": "compulsory", "grades": [1, 2, 3, 4, 5, 6, 7, 8, 9], "classes": [],
         "pupils": 0, "registered": 0},
        {"slug": "kita-es", "name": "北小学校", "kind": "elementary", "grades": [1, 2, 3, 4, 5, 6], "classes": ["1", "たんぽぽ"],
         "pupils": 0, "registered": 0},
    ]  # fmt: skip


def test_the_sample_citys_schools_are_those_that_checks_know(city: Commands) -> None:
    listed = {row["slug"]: row for row in city.json("school", "list")}
    assert set(listed) == {"kita-es", "minami-es", "chuo-jhs"}
    assert listed["kita-es"]["grades"] == [1, 2, 3, 4, 5, 6]
    assert listed["kita-es"]["classes"] == ["1", "2", "たんぽぽ"]
    assert listed["chuo-jhs"]["grades"] == [1, 2, 3]
    assert sum(row["pupils"] for row in listed.values()) == 900
    assert all(0 < row["registered"] <= row["pupils"] for row in listed.values())


def test_a_school_gets_a_code_at_once_that_paper_does_not_garble(gate: Commands) -> None:
    made = add_school(gate)
    assert set(made) == {"school", "code"}
    assert re.fullmatch(r"[3467ACDEFGHJKMNPQRTWXY]{4}-[3467ACDEFGHJKMNPQRTWXY]{4}", made["code"])
    shown = gate.json("school", "code", "kita-es")
    assert set(shown) == {"school", "code", "valid_from", "valid_to"}
    assert (shown["school"], shown["code"], shown["valid_to"]) == ("kita-es", made["code"], None)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", shown["valid_from"])


def test_after_a_rotation_the_new_code_is_shown(gate: Commands) -> None:
    old = add_school(gate)["code"]
    rotated = gate.json("school", "rotate-code", "kita-es")
    assert rotated["code"] != old
    assert rotated == gate.json("school", "code", "kita-es")

    async def codes(town: Town) -> list[tuple[object, ...]]:
        return [tuple(row) for row in await town.ask("SELECT code, valid_to IS NULL FROM registration_code ORDER BY id")]

    assert live(gate, codes) == [(old, 0), (rotated["code"], 1)]


def test_classes_can_be_added_to_a_school_that_is_there(gate: Commands) -> None:
    code = add_school(gate, "kita-es", "--class", "3-1")["code"]
    assert add_school(gate, "kita-es", "--class", "3-2", "--class", "3-1")["code"] == code
    assert gate.json("school", "list")[0]["classes"] == ["1", "2"]
    gate.refused(1, "school", "add", "kita-es", "--name", "北", "--kind", "elementary", says="already")
    gate.refused(1, "school", "add", "kita-es", "--name", "北", "--kind", "junior", "--class", "1-1", says="already")


@pytest.mark.parametrize("slug", ["all", "staff", "elementary", "junior", "Kita", "kita_es", "kita.es", "北小", "-kita", "k" * 33, " "])
def test_a_slug_that_no_audience_could_name_is_refused(gate: Commands, slug: str) -> None:
    gate.refused(1, "school", "add", "--name", "北", "--kind", "elementary", "--", slug, says="cannot be a slug")
    assert gate.json("school", "list") == []


@pytest.mark.parametrize("text", ["3", "3-", "-1", "7-1", "0-1", "x-1", "3-A B", "3-組", "³-1", "9" * 5000 + "-1", "3-" + "1" * 33])
def test_a_class_that_is_none_is_refused_and_nothing_is_added(gate: Commands, text: str) -> None:
    gate.refused(1, "school", "add", "kita-es", "--name", "北", "--kind", "elementary", f"--class={text}", says="is not GRADE-SLUG")
    assert gate.json("school", "list") == []


@pytest.mark.parametrize("command", ["code", "rotate-code"])
def test_a_school_that_is_not_there_is_named(gate: Commands, command: str) -> None:
    gate.refused(1, "school", command, "minami-es", says='there is no school "minami-es"')


def test_people_read_columns_and_lines(gate: Commands) -> None:
    assert gate.ok("school", "list") == "nothing to list\n"
    add_school(gate, "kita-es", "--class", "3-1=いち")
    head, line = gate.ok("school", "list").splitlines()
    assert head.split() == ["slug", "name", "kind", "grades", "classes", "pupils", "registered"]
    assert line.split() == ["kita-es", "北小学校", "elementary", "1,2,3,4,5,6", "いち", "0", "0"]
    assert "valid_to: -" in gate.ok("school", "code", "kita-es").splitlines()


# Staff


def test_what_proves_a_member_is_shown_once(gate: Commands) -> None:
    added = gate.json(*STAFF, "--scope", "all", "--address", "A..b@docomo.ne.jp", "--pin", "135790")
    assert set(added) == {"id", "address", "pin", "submission_password", "totp_uri"}
    assert (added["id"], added["address"], added["pin"]) == (1, "A..b@docomo.ne.jp", "135790")
    assert re.fullmatch(r"[a-km-z2-9]{24}", added["submission_password"])
    uri = urlsplit(added["totp_uri"])
    assert (uri.scheme, uri.netloc, unquote(uri.path)) == ("otpauth", "totp", "/学校メール:1")
    assert re.fullmatch(r"[A-Z2-7]{32}", parse_qs(uri.query)["secret"][0])
    listed = gate.ok("staff", "list", "--json") + gate.ok("staff", "list")
    for secret in ("docomo", "135790", added["submission_password"], parse_qs(uri.query)["secret"][0], "argon2"):
        assert secret not in listed


def test_staff_are_listed_newest_first_without_secrets(gate: Commands) -> None:
    add_school(gate, "kita-es", "--class", "3-1")
    for number, scope in enumerate(("all", "kita-es", "kita-es.3", "kita-es.3-1")):
        gate.json(*STAFF, "--scope", scope, "--address", f"s{number}@example.jp")
    listed = gate.json("staff", "list")
    assert [row["scope"] for row in listed] == ["kita-es.3-1", "kita-es.3", "kita-es", "all"]
    assert {frozenset(row) for row in listed} == {frozenset({"id", "name", "role", "scope", "created", "disabled"})}
    assert {row["disabled"] for row in listed} == {None}


def test_a_drawn_pin_has_six_digits_and_is_anothers(gate: Commands) -> None:
    pins = [gate.json(*STAFF, "--scope", "all", "--address", f"s{number}@example.jp")["pin"] for number in range(3)]
    assert all(re.fullmatch(r"\d{6}", pin) for pin in pins)
    assert len(set(pins)) > 1


@pytest.mark.parametrize("given", ["12345", "1234567", "12345x", "１２３４５６", "", " 12345"])
def test_a_pin_is_six_digits(gate: Commands, given: str) -> None:
    gate.refused(1, *STAFF, "--scope", "all", "--address", "a@example.jp", f"--pin={given}", says="--pin")


@pytest.mark.parametrize("address", ["a", "@example.jp", "a@", "a b@example.jp", "a@例え.jp", "<a@example.jp>", "a@example.jp\r\nBcc: x"])
def test_an_address_that_is_none_is_refused_without_repeating_it(gate: Commands, address: str) -> None:
    line = gate.refused(1, *STAFF, "--scope", "all", f"--address={address}", says="--address")
    assert address not in line or address == "a"


@pytest.mark.parametrize(
    "scope", ["", "ALL staff", "staff", "elementary", "junior", "kita-es.", "kita-es.3-", "kita-es.x", "kita es", "staff.kita-es"]
)
def test_a_scope_that_is_none_is_refused(gate: Commands, scope: str) -> None:
    add_school(gate)
    gate.refused(1, *STAFF, f"--scope={scope}", "--address", "a@example.jp", says="--scope")


@pytest.mark.parametrize("scope", ["minami-es", "minami-es.3", "kita-es.7", "kita-es.3-9", "kita-es.4-1"])
def test_a_scope_of_what_is_not_there_is_refused(gate: Commands, scope: str) -> None:
    """Whoever had it could send to nobody, and would only find out on the day it matters."""
    add_school(gate, "kita-es", "--class", "3-1")
    gate.refused(1, *STAFF, "--scope", scope, "--address", "a@example.jp", says="there is no")
    assert gate.json("staff", "list") == []


@pytest.mark.parametrize("given", ["kita-es.3-tanpopo", "KITA-ES.3-TANPOPO", "kita-es.3-たんぽぽ"])
def test_a_class_in_a_scope_may_be_called_by_its_name(gate: Commands, given: str) -> None:
    add_school(gate, "kita-es", "--class", "3-tanpopo=たんぽぽ")
    gate.json(*STAFF, "--scope", given, "--address", "a@example.jp")
    assert gate.json("staff", "list")[0]["scope"] == "kita-es.3-tanpopo"


def test_an_address_is_enrolled_once_however_it_is_spelt(gate: Commands) -> None:
    gate.json(*STAFF, "--scope", "all", "--address", "a..b@docomo.ne.jp")
    gate.refused(1, *STAFF, "--scope", "all", "--address", '"A..B"@DOCOMO.ne.jp', says="enrolled already")
    assert len(gate.json("staff", "list")) == 1


def test_somebody_is_disabled_once(gate: Commands) -> None:
    gate.json(*STAFF, "--scope", "all", "--address", "a@example.jp")
    assert gate.ok("staff", "disable", "1") == ""
    assert gate.json("staff", "list")[0]["disabled"] is not None
    gate.refused(1, "staff", "disable", "1", says="no enrolled staff member 1")


@pytest.mark.parametrize("option", ["--role", "--scope", "--name", "--address"])
def test_every_option_of_staff_add_is_needed(gate: Commands, option: str) -> None:
    given = {"--role": "board", "--scope": "all", "--name": "n", "--address": "a@example.jp"}
    del given[option]
    result = gate.run("staff", "add", *(word for pair in given.items() for word in pair))
    assert (result.exit_code, result.stdout) == (2, "")
    assert option in result.stderr


def test_what_an_operator_decides_is_in_the_audit_log(gate: Commands) -> None:
    add_school(gate)
    gate.json("school", "rotate-code", "kita-es")
    gate.json(*STAFF, "--scope", "all", "--address", "a@example.jp")
    gate.ok("staff", "disable", "1")

    async def lines(town: Town) -> list[tuple[object, ...]]:
        return [tuple(row) for row in await town.ask("SELECT actor, event, subject, detail FROM audit ORDER BY id")]

    assert live(gate, lines) == [
        ("operator", "school.added", "school:1", "{}"),
        ("operator", "school.code_rotated", "school:1", "{}"),
        ("operator", "staff.added", "staff:1", "{}"),
        ("operator", "staff.disabled", "staff:1", "{}"),
    ]

from dataclasses import fields, replace
from datetime import date
from itertools import islice
from unicodedata import normalize

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailgate.core.audience import SchoolKind
from mailgate.core.registration import (
    MAX_ADDRESSES,
    Child,
    ContactKind,
    Fault,
    Form,
    Registration,
    SchoolFacts,
    check,
    check_child,
    entry_year,
    kana_key,
    normal_code,
    normal_login_id,
    school_year,
    suggest_ids,
)

KITA = SchoolFacts(
    kind=SchoolKind.ELEMENTARY,
    classes={1: ("1", "2"), 2: ("1",), 3: ("1", "2", "tanpopo", "複式")},
    class_names={(3, "たんぽぽ"): "tanpopo", (3, "１組"): "1", (2, "ひまわり"): "1"},
)


def a_form(**changes: str) -> Form:
    form = Form(
        code="KITA-7K3M",
        login_id="hanako.s",
        password="kaba to kirin",
        name="佐藤　花子",
        kana="さとう はなこ",
        grade="3",
        class_name="2",
        label="母のスマホ",
    )
    return replace(form, **changes)


def kept(form: Form) -> Registration:
    registration = check(form, school=KITA)
    assert isinstance(registration, Registration), registration
    return registration


def faults(form: Form, *, school: SchoolFacts | None = KITA) -> dict[str, Fault]:
    found = check(form, school=school)
    assert isinstance(found, dict), found
    return found


def test_a_good_form_is_kept() -> None:
    assert kept(a_form()) == Registration(
        code="KITA7K3M",
        login_id="hanako.s",
        login_key="hanako.s",
        password="kaba to kirin",
        name="佐藤　花子",
        kana="さとう はなこ",
        kana_key="サトウハナコ",
        grade=3,
        class_slug="2",
        label="母のスマホ",
        kind=ContactKind.GUARDIAN,
    )


def test_what_is_required_is_code_id_password_and_name() -> None:
    assert check(Form(), school=None) == dict.fromkeys(("code", "login_id", "password", "name"), Fault.MISSING)
    least = check(Form(code="a", login_id="taro", password="kaba to kirin", name="佐藤 太郎"), school=KITA)
    assert isinstance(least, Registration)
    assert (least.grade, least.class_slug, least.kana, least.label) == (None, None, "", "")
    assert least.kind is ContactKind.GUARDIAN


def test_all_faults_are_told_at_once_each_at_its_field() -> None:
    everything = {field.name: "a@b\x00" for field in fields(Form)}
    assert check(Form(**everything), school=None) == {
        "code": Fault.UNKNOWN_CODE,
        "login_id": Fault.AT_SIGN,
        "password": Fault.CHARACTERS,
        "name": Fault.AT_SIGN,
        "kana": Fault.AT_SIGN,
        "grade": Fault.UNKNOWN_GRADE,
        "label": Fault.AT_SIGN,
        "kind": Fault.UNKNOWN_KIND,
    }


@pytest.mark.parametrize(
    "field, text, fault",
    [
        ("code", "", Fault.MISSING),
        ("code", " 　", Fault.MISSING),
        ("login_id", "", Fault.MISSING),
        ("login_id", "abc", Fault.TOO_SHORT),
        ("login_id", "a" * 33, Fault.TOO_LONG),
        ("login_id", "a" * 300, Fault.TOO_LONG),
        ("login_id", "hana@docomo.ne.jp", Fault.AT_SIGN),
        ("login_id", "hana＠docomo", Fault.AT_SIGN),
        ("login_id", "hana﹫docomo", Fault.AT_SIGN),
        ("login_id", "hana" + "＠" * 300, Fault.AT_SIGN),
        ("login_id", "hana ko", Fault.CHARACTERS),
        ("login_id", "花子花子", Fault.CHARACTERS),
        ("login_id", "hanakö", Fault.CHARACTERS),
        ("login_id", "hana\nko", Fault.CHARACTERS),
        ("login_id", "hana/ko", Fault.CHARACTERS),
        ("password", "", Fault.MISSING),
        ("password", "k4b4kun", Fault.TOO_SHORT),
        ("password", "kaba to kirin" * 10, Fault.TOO_LONG),
        ("password", "kaba\x00to kirin", Fault.CHARACTERS),
        ("password", "kaba\ud800to kirin", Fault.CHARACTERS),
        ("password", "password", Fault.COMMON),
        ("password", "Password1", Fault.COMMON),
        ("password", "１２３４５６７８", Fault.COMMON),
        ("password", "zzzzzzzz", Fault.COMMON),
        ("password", "1212121212", Fault.COMMON),
        ("password", "        ", Fault.COMMON),
        ("password", "hanako.s", Fault.LIKE_LOGIN_ID),
        ("password", "HANAKO.S", Fault.LIKE_LOGIN_ID),
        ("password", "s.okanah", Fault.LIKE_LOGIN_ID),
        ("password", "hanako.shanako.s", Fault.LIKE_LOGIN_ID),
        ("name", "", Fault.MISSING),
        ("name", "　 ", Fault.MISSING),
        ("name", "\u200b", Fault.MISSING),
        ("name", "花" * 41, Fault.TOO_LONG),
        ("name", "花子@example.jp", Fault.AT_SIGN),
        ("name", "花子＠家", Fault.AT_SIGN),
        ("name", "佐藤\n花子", Fault.CHARACTERS),
        ("name", "佐藤\x7f花子", Fault.CHARACTERS),
        ("name", "佐藤\x85花子", Fault.CHARACTERS),
        ("name", "佐藤\u202e花子", Fault.CHARACTERS),
        ("name", "佐藤\u2067花子", Fault.CHARACTERS),
        ("name", "佐藤\u2028花子", Fault.CHARACTERS),
        ("name", "佐藤\udc80花子", Fault.CHARACTERS),
        ("name", "花子😀", Fault.CHARACTERS),
        ("name", "花子❤️", Fault.CHARACTERS),
        ("name", "花子1️⃣", Fault.CHARACTERS),
        ("name", "花子\ue63e", Fault.CHARACTERS),  # private: what one carrier had for an emoji
        ("kana", "ハナコ★", Fault.CHARACTERS),
        ("kana", "ア" * 81, Fault.TOO_LONG),
        ("kana", "さとう\x00はなこ", Fault.CHARACTERS),
        ("label", "母" * 21, Fault.TOO_LONG),
        ("label", "haha@docomo", Fault.AT_SIGN),
        ("label", "haha＠docomo", Fault.AT_SIGN),
        ("label", "母\u202a", Fault.CHARACTERS),
        ("grade", "0", Fault.UNKNOWN_GRADE),
        ("grade", "7", Fault.UNKNOWN_GRADE),
        ("grade", "10", Fault.UNKNOWN_GRADE),
        ("grade", "9" * 5000, Fault.UNKNOWN_GRADE),
        ("grade", "3年", Fault.UNKNOWN_GRADE),
        ("grade", "-1", Fault.UNKNOWN_GRADE),
        ("class_name", "9", Fault.UNKNOWN_CLASS),
        ("class_name", "ひまわり", Fault.UNKNOWN_CLASS),  # there is one, in grade 2
        ("kind", "teacher", Fault.UNKNOWN_KIND),
    ],
)
def test_a_bad_field_says_why(field: str, text: str, fault: Fault) -> None:
    assert faults(a_form(**{field: text})) == {field: fault}


@pytest.mark.parametrize(
    "field, text, attribute, value",
    [
        ("login_id", "abcd", "login_id", "abcd"),
        ("login_id", "a" * 32, "login_id", "a" * 32),
        ("login_id", " Hanako_S-1.x ", "login_id", "Hanako_S-1.x"),
        ("login_id", " Hanako_S-1.x ", "login_key", "hanako_s-1.x"),
        ("login_id", "Ｈａｎａ２０２６", "login_id", "Hana2026"),
        ("login_id", "Ｈａｎａ２０２６", "login_key", "hana2026"),
        ("password", "    kaba    ", "password", "    kaba    "),
        ("password", "k4b4k1r1", "password", "k4b4k1r1"),
        ("password", "かばときりんとぞう", "password", "かばときりんとぞう"),
        ("password", " kaba ｔｏ ", "password", " kaba ｔｏ "),
        ("password", "12kabahanako.s34", "password", "12kabahanako.s34"),
        ("password", "k4b4k1r1" * 16, "password", "k4b4k1r1" * 16),
        ("name", "花" * 40, "name", "花" * 40),
        ("name", "　髙橋 𠮷太 ", "name", "髙橋 𠮷太"),
        ("name", "神\ufa19 葛\U000e0100城", "name", "神\ufa19 葛\U000e0100城"),
        ("name", "Maria José da Silva", "name", "Maria José da Silva"),
        ("name", "か\u3099", "name", "か\u3099"),
        ("name", "⼭⽥　花子", "name", "⼭⽥　花子"),  # radicals, as some documents have them for the kanji
        ("name", "佐々木 〆子・マリーゝ", "name", "佐々木 〆子・マリーゝ"),
        ("label", "📱ママ", "label", "📱ママ"),
        ("kana", " ﾊﾅｺ ", "kana", "ﾊﾅｺ"),
        ("kana", " ﾊﾅｺ ", "kana_key", "ハナコ"),
        ("kana", "Maria Silva", "kana_key", "mariasilva"),
        ("kana", "", "kana", ""),
        ("kana", "", "kana_key", "佐藤花子"),
        ("kana", "\u200b", "kana_key", "佐藤花子"),
        ("label", "", "label", ""),
        ("label", "母" * 20, "label", "母" * 20),
        ("label", " 父の会社 ", "label", "父の会社"),
        ("grade", "３", "grade", 3),
        ("class_name", "1", "class_slug", "1"),
        ("class_name", "１", "class_slug", "1"),
        ("class_name", "1組", "class_slug", "1"),
        ("class_name", "たんぽぽ", "class_slug", "tanpopo"),
        ("class_name", "Tanpopo", "class_slug", "tanpopo"),
        ("class_name", " 複式 ", "class_slug", "複式"),
        ("class_name", "", "class_slug", None),
        ("kind", "", "kind", ContactKind.GUARDIAN),
        ("kind", "guardian", "kind", ContactKind.GUARDIAN),
        ("kind", "pupil", "kind", ContactKind.PUPIL),
        ("code", " ｋｉｔａ　7k3m ", "code", "KITA7K3M"),
    ],
)
def test_a_good_field_is_kept_so(field: str, text: str, attribute: str, value: object) -> None:
    assert getattr(kept(a_form(**{field: text})), attribute) == value


@pytest.mark.parametrize("fullwidth_slash", ["／", "〜", "（"])
def test_full_width_input_does_not_smuggle_other_characters_into_an_id(fullwidth_slash: str) -> None:
    assert faults(a_form(login_id=f"hana{fullwidth_slash}ko")) == {"login_id": Fault.CHARACTERS}


def test_a_child_alone_is_judged_as_in_the_whole_form() -> None:
    whole = kept(a_form())
    child = check_child(a_form(code="", login_id="", password=""), school=KITA)
    assert isinstance(child, Child)
    assert [getattr(child, each.name) for each in fields(Child)] == [getattr(whole, each.name) for each in fields(Child)]
    bad = {"name": "", "kana": "a@b", "grade": "9", "class_name": "1"}
    assert check_child(a_form(**bad), school=KITA) == faults(a_form(**bad))
    assert "花子" not in repr(child)


def test_a_class_needs_a_grade() -> None:
    assert faults(a_form(grade="", class_name="2")) == {"class_name": Fault.CLASS_WITHOUT_GRADE}
    assert kept(a_form(grade="", class_name="")).grade is None
    assert kept(a_form(grade="3", class_name="")).class_slug is None


def test_of_a_grade_that_is_at_fault_the_class_is_not_judged() -> None:
    assert faults(a_form(grade="8", class_name="no such")) == {"grade": Fault.UNKNOWN_GRADE}


def test_a_grade_without_classes_has_none() -> None:
    assert faults(a_form(grade="6", class_name="1")) == {"class_name": Fault.UNKNOWN_CLASS}
    assert kept(a_form(grade="6", class_name="")).grade == 6


@pytest.mark.parametrize(
    "kind, grade, fits",
    [
        (SchoolKind.ELEMENTARY, "6", True),
        (SchoolKind.ELEMENTARY, "7", False),
        (SchoolKind.JUNIOR, "3", True),
        (SchoolKind.JUNIOR, "4", False),
        (SchoolKind.COMPULSORY, "9", True),
    ],
)
def test_a_grade_is_one_of_its_school(kind: SchoolKind, grade: str, fits: bool) -> None:
    school = SchoolFacts(kind=kind, classes={})
    found = check(a_form(grade=grade, class_name=""), school=school)
    assert isinstance(found, Registration) if fits else found == {"grade": Fault.UNKNOWN_GRADE}


def test_a_code_that_no_school_has_is_told_with_the_other_faults() -> None:
    assert faults(a_form(), school=None) == {"code": Fault.UNKNOWN_CODE}
    assert faults(a_form(grade="9", class_name="whatever"), school=None) == {"code": Fault.UNKNOWN_CODE}
    assert faults(a_form(grade="x", name=""), school=None) == {
        "code": Fault.UNKNOWN_CODE,
        "grade": Fault.UNKNOWN_GRADE,
        "name": Fault.MISSING,
    }


def test_a_password_is_not_compared_with_an_id_that_is_at_fault() -> None:
    assert faults(a_form(login_id="a", password="banana12")) == {"login_id": Fault.TOO_SHORT}
    assert faults(a_form(login_id="a", password="    kaba    ")) == {"login_id": Fault.TOO_SHORT}


def test_a_password_is_compared_with_the_id_in_whatever_case_either_is() -> None:
    assert faults(a_form(login_id="Hanako.S", password="hANAKO.s")) == {"password": Fault.LIKE_LOGIN_ID}


@given(st.fixed_dictionaries({field.name: st.text(max_size=50) for field in fields(Form)}), st.booleans())
def test_no_form_raises_and_what_is_kept_is_within_its_rules(texts: dict[str, str], known: bool) -> None:
    found = check(Form(**texts), school=KITA if known else None)
    if isinstance(found, Registration):
        assert known
        assert 1 <= len(found.name) <= 40
        assert "@" not in found.login_id + found.name + found.kana + found.label
    else:
        assert found
        assert set(found) <= set(texts)


@pytest.mark.parametrize("shown", [repr(a_form()), str(a_form()), repr(kept(a_form())), str(kept(a_form()))])
def test_neither_form_nor_registration_shows_what_is_in_it(shown: str) -> None:
    assert not any(word in shown for word in ("花子", "kaba", "hanako", "KITA", "スマホ"))


def test_three_addresses_are_the_most() -> None:
    assert MAX_ADDRESSES == 3


@pytest.mark.parametrize(
    "one, other",
    [
        ("さとう　はなこ", "ｻﾄｳ ﾊﾅｺ"),
        ("がっこう", "ｶﾞｯｺｳ"),
        ("か\u3099っこう", "ガッコウ"),
        ("わ\u3099", "ヷ"),
        ("すゞき", "スヾキ"),
        ("ゔぃ", "ヴィ"),
        ("ゕゖ", "ヵヶ"),
        ("Maria  SILVA", "ｍａｒｉａ silva"),
        ("José", "JOSE\u0301"),
        ("", " 　\t"),
    ],
)
def test_spellings_of_one_sound_have_one_key(one: str, other: str) -> None:
    assert kana_key(one) == kana_key(other)


def test_different_sounds_have_different_keys() -> None:
    words = ["はな", "ばな", "ぱな", "ハナコ", "ハナヨ", "きよう", "きょう", "ハナー"]
    assert len({kana_key(word) for word in words}) == len(words)


@given(st.text(alphabet="さとうはなこサトウがぱゝヴｶﾞﾊﾟ\u3099\u309a　 AbéＺー・", max_size=40) | st.text(max_size=40))
def test_a_kana_key_is_its_own_key_composed_and_without_blanks(text: str) -> None:
    key = kana_key(text)
    assert not any(letter.isspace() for letter in key)
    assert normalize("NFC", key) == key
    assert not any("ぁ" <= letter <= "ゖ" for letter in key)


@given(st.text(alphabet="さとうはなこサトウがぱゝヴｶﾞﾊﾟ\u3099\u309a　 AbéＺー・", max_size=40))
def test_the_key_of_a_key_is_the_key(text: str) -> None:
    assert kana_key(kana_key(text)) == kana_key(text)


@pytest.mark.parametrize("text", ["Taro_1", "ＴＡＲＯ＿１", "  taro_1\n", "tARo_1"])
def test_a_login_id_is_compared_without_case_and_width(text: str) -> None:
    assert normal_login_id(text) == "taro_1"


@pytest.mark.parametrize("text", ["kita-7k3m", "ＫＩＴＡ７Ｋ３Ｍ", " KITA 7K3M\r\n", "kitaー7k3m", "KITA–7K3M"])
def test_a_registration_code_is_compared_without_case_width_and_grouping(text: str) -> None:
    assert normal_code(text) == "KITA7K3M"


def test_what_is_far_too_long_is_not_normalised() -> None:
    """A run of combining marks costs its square to normalise: a megabyte of them would take hours."""
    flood = "か" + "\u3099\u0316" * 500_000
    assert faults(a_form(login_id=flood, name=flood, kana=flood, code=flood), school=None) == {
        "code": Fault.UNKNOWN_CODE,
        "login_id": Fault.CHARACTERS,
        "name": Fault.TOO_LONG,
        "kana": Fault.TOO_LONG,
    }


@pytest.mark.parametrize(
    "day, year",
    [(date(2026, 4, 1), 2026), (date(2027, 3, 31), 2026), (date(2027, 4, 1), 2027), (date(2026, 12, 31), 2026)],
)
def test_a_school_year_begins_in_april(day: date, year: int) -> None:
    assert school_year(day) == year


@pytest.mark.parametrize("grade, year", [(1, 2026), (3, 2024), (9, 2018), (None, 2026)])
def test_a_pupil_entered_as_many_years_ago_as_grades_lie_behind(grade: int | None, year: int) -> None:
    assert entry_year(grade, school_year=2026) == year


@pytest.mark.parametrize(
    "wanted, class_slug, first",
    [
        ("taro", "1", ["taro2026", "taro2026-1", "taro-2026a", "taro-2026b"]),
        ("taro", None, ["taro2026", "taro-2026a", "taro-2026b", "taro-2026c"]),
        ("taro", "たんぽぽ", ["taro2026", "taro-2026a", "taro-2026b", "taro-2026c"]),
        ("taro", "long-class-name", ["taro2026", "taro-2026a", "taro-2026b", "taro-2026c"]),
        ("Taro2026", "1", ["Taro2026-1", "Taro-2026a", "Taro-2026b", "Taro-2026c"]),
        ("taro2026-1", "1", ["taro2026", "taro-2026a", "taro-2026b", "taro-2026c"]),
        ("taro-2026b", None, ["taro2026", "taro-2026a", "taro-2026c", "taro-2026d"]),
        ("2026taro", None, ["2026taro2026", "2026taro-2026a", "2026taro-2026b", "2026taro-2026c"]),
        ("Ｔａｒｏ．", "1", ["Taro2026", "Taro2026-1", "Taro-2026a", "Taro-2026b"]),
        ("花子", "2", ["id2026", "id2026-2", "id-2026a", "id-2026b"]),
        ("hana@docomo.ne.jp", "2", ["hana2026", "hana2026-2", "hana-2026a", "hana-2026b"]),
    ],
)
def test_free_ids_are_proposed_from_the_entry_year_and_the_class(
    wanted: str, class_slug: str | None, first: list[str]
) -> None:
    assert list(islice(suggest_ids(wanted, entry_year=2026, class_slug=class_slug), 4)) == first


@given(
    st.text(max_size=40) | st.text(alphabet="abcXYZ0123._-", max_size=40),
    st.integers(min_value=2000, max_value=2099),
    st.none() | st.text(max_size=10) | st.sampled_from(["1", "2", "a", "1-2"]),
)
def test_proposals_are_legal_differ_and_never_are_the_taken_one(wanted: str, year: int, class_slug: str | None) -> None:
    proposals = list(islice(suggest_ids(wanted, entry_year=year, class_slug=class_slug), 100))
    assert len({proposal.casefold() for proposal in proposals}) == 100
    assert normal_login_id(wanted) not in {proposal.casefold() for proposal in proposals}
    assert all(kept(a_form(login_id=proposal)).login_id == proposal for proposal in proposals)

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailgate.core.audience import (
    RESERVED,
    City,
    Class,
    Grade,
    Level,
    Part,
    School,
    SchoolKind,
    Staff,
    covers,
    grades_at,
    grades_of,
    is_class_slug,
    is_school_slug,
    parse,
    parse_scope,
)

SLUGS = st.sampled_from(["kita-es", "minami-es", "chuo-jhs", "1", "a1-b2"])
GRADES = st.integers(min_value=1, max_value=9)
CLASS_SLUGS = st.sampled_from(["1", "2", "a", "tanpopo", "fuku-1", "x_y"])
ANY_CLASS = CLASS_SLUGS | st.sampled_from(["たんぽぽ", "複式"])


def parts(class_slugs: st.SearchStrategy[str]) -> st.SearchStrategy[Part]:
    levels: st.SearchStrategy[Part] = st.sampled_from([Level("elementary"), Level("junior")])
    return st.one_of(
        st.just(City()),
        levels,
        st.builds(School, SLUGS),
        st.builds(Grade, SLUGS, GRADES),
        st.builds(Class, SLUGS, GRADES, class_slugs),
        st.builds(Staff, st.none() | SLUGS),
    )


PARTS = parts(ANY_CLASS)

# From the widest to the narrowest, of two schools.
EXAMPLES: list[Part] = [
    City(),
    Level("elementary"),
    Level("junior"),
    School("kita-es"),
    School("minami-es"),
    Grade("kita-es", 3),
    Grade("kita-es", 4),
    Grade("minami-es", 3),
    Class("kita-es", 3, "1"),
    Class("kita-es", 3, "たんぽぽ"),
    Class("minami-es", 3, "1"),
    Staff(None),
    Staff("kita-es"),
    Staff("minami-es"),
]

COVERED_BESIDES_ITSELF: dict[str, set[str]] = {
    "all": {str(part) for part in EXAMPLES},
    "kita-es": {"kita-es.3", "kita-es.4", "kita-es.3-1", "kita-es.3-たんぽぽ", "staff.kita-es"},
    "minami-es": {"minami-es.3", "minami-es.3-1", "staff.minami-es"},
    "kita-es.3": {"kita-es.3-1", "kita-es.3-たんぽぽ"},
    "minami-es.3": {"minami-es.3-1"},
    "staff": {"staff.kita-es", "staff.minami-es"},
}


@pytest.mark.parametrize(
    "text, part",
    [
        ("all", City()),
        ("elementary", Level("elementary")),
        ("junior", Level("junior")),
        ("kita-es", School("kita-es")),
        ("kita-es.3", Grade("kita-es", 3)),
        ("kita-es.3-1", Class("kita-es", 3, "1")),
        ("kita-es.3-tanpopo", Class("kita-es", 3, "tanpopo")),
        ("kita-es.3-fuku-1", Class("kita-es", 3, "fuku-1")),
        ("staff", Staff(None)),
        ("staff.kita-es", Staff("kita-es")),
    ],
)
def test_an_address_names_a_part_in_any_case(text: str, part: Part) -> None:
    assert parse(text) == part
    assert parse(text.upper()) == part
    assert str(part) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "kita-es.",
        "kita-es.0",
        "kita-es.10",
        "kita-es.3-",
        "kita-es.3-1-",
        "kita-es.3.1",
        "kita-es.pta",
        "kita-es.３",
        "kita-es.3-たんぽぽ",
        "kita--es",
        "-kita",
        "kita-",
        "kita_es",
        "kita-es\n",
        "kita-es.3\n",
        "kita-es.3-1\n",
        "kita-es.3-a b",
        "きた",
        "a" * 33,
        "a" * 33 + ".3",
        "kita-es.3-" + "a" * 33,
        "all.3",
        "staff.",
        "staff.all",
        "staff.staff",
        "staff.kita-es.3",
        "junior.1-1",
        "ſtaff",
        "\u212aita-es",  # the Kelvin sign, whose lower case is an ASCII letter
    ],
)
def test_what_names_no_part_is_none(text: str) -> None:
    assert parse(text) is None


@given(parts(CLASS_SLUGS))
def test_the_canonical_text_of_a_part_names_it(part: Part) -> None:
    assert parse(str(part)) == part


@given(st.text(alphabet="al-staff.kita3-1たß\n ", max_size=20) | st.text(max_size=40))
def test_no_text_raises_and_what_is_read_is_written_back_in_lower_case(text: str) -> None:
    part = parse(text)
    assert part is None or str(part) == text.lower()


@pytest.mark.parametrize(
    "text, scope",
    [
        ("all", City()),
        (" kita-es ", School("kita-es")),
        ("kita-es.3", Grade("kita-es", 3)),
        ("Kita-ES.3-1", Class("kita-es", 3, "1")),
        ("kita-es.3-たんぽぽ", Class("kita-es", 3, "たんぽぽ")),
        ("staff", None),
        ("staff.kita-es", None),
        ("elementary", None),
        ("kita-es.3-a b", None),
        ("kita-es.3-a\x00", None),
        ("kita-es.x", None),
        ("", None),
    ],
)
def test_a_scope_is_the_city_or_a_school_or_something_in_it(text: str, scope: Part | None) -> None:
    assert parse_scope(text) == scope


@given(parts(ANY_CLASS))
def test_the_canonical_text_of_a_scope_gives_it_back(part: Part) -> None:
    assert parse_scope(str(part)) == (None if isinstance(part, Level | Staff) else part)


@pytest.mark.parametrize("scope, part", list(product(EXAMPLES, EXAMPLES)), ids=str)
def test_a_scope_covers_what_lies_in_it_and_nothing_else(scope: Part, part: Part) -> None:
    expected = scope == part or str(part) in COVERED_BESIDES_ITSELF.get(str(scope), set())
    assert covers(scope, part) is expected


@given(PARTS)
def test_everything_covers_itself_and_the_city_covers_all(part: Part) -> None:
    assert covers(part, part)
    assert covers(City(), part)


@given(PARTS, PARTS)
def test_nobody_covers_up(one: Part, other: Part) -> None:
    if covers(one, other) and covers(other, one):
        assert one == other


@given(PARTS, PARTS, PARTS)
def test_what_is_covered_covers_no_more_than_its_cover(one: Part, other: Part, third: Part) -> None:
    if covers(one, other) and covers(other, third):
        assert covers(one, third)


@pytest.mark.parametrize(
    "kind, grades, elementary, junior",
    [
        (SchoolKind.ELEMENTARY, "123456", "123456", ""),
        (SchoolKind.JUNIOR, "123", "", "123"),
        (SchoolKind.COMPULSORY, "123456789", "123456", "789"),
    ],
)
def test_each_kind_of_school_has_its_grades_and_each_grade_one_level(
    kind: SchoolKind, grades: str, elementary: str, junior: str
) -> None:
    assert [str(grade) for grade in grades_of(kind)] == list(grades)
    assert [str(grade) for grade in grades_at("elementary", kind)] == list(elementary)
    assert [str(grade) for grade in grades_at("junior", kind)] == list(junior)
    assert elementary + junior == grades


def test_a_word_that_is_no_kind_of_school_is_an_error() -> None:
    with pytest.raises(ValueError, match="kindergarten"):
        grades_of("kindergarten")


def test_reserved_words_are_no_schools() -> None:
    assert not any(is_school_slug(word) for word in RESERVED)
    assert all(parse(word) is not None for word in RESERVED)
    assert is_school_slug("kita-es")


@pytest.mark.parametrize(
    "text, is_one", [("1", True), ("a_b-c", True), ("A", False), ("たんぽぽ", False), ("", False), ("a\n", False)]
)
def test_a_class_slug_is_what_an_address_can_say(text: str, is_one: bool) -> None:
    assert is_class_slug(text) is is_one

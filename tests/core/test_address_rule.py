from itertools import combinations_with_replacement

import pytest

from mailgate.core.registration import MAX_ADDRESSES, AddressRule, ContactKind, Holding, lacks_guardian

G, P = ContactKind.GUARDIAN, ContactKind.PUPIL


def some(*ids: int, kind: ContactKind = G) -> list[Holding]:
    return [Holding(each, kind) for each in ids]


@pytest.mark.parametrize(
    "there, coming, fits",
    [
        ((), (1,), True),
        ((1, 2), (3,), True),
        ((1, 2, 3), (4,), False),
        ((1, 1, 2), (3,), True),  # one mailbox under two IDs is one
        ((1, 2, 3), (3,), True),  # there already: it takes no place
        ((1, 2), (3, 4), False),
        ((1, 2), (2, 3), True),
        ((1, 2, 3), (2, 4), False),
        ((1, 2, 3, 4), (4,), True),  # too many since another setting: nobody is thrown out
        ((1, 2, 3), (), True),
    ],
)
def test_three_mailboxes_find_room(there: tuple[int, ...], coming: tuple[int, ...], fits: bool) -> None:
    assert MAX_ADDRESSES == 3
    assert AddressRule().fits(some(*there), some(*coming)) is fits


@pytest.mark.parametrize("addresses", [1, 2, 5])
def test_the_city_sets_the_number(addresses: int) -> None:
    rule = AddressRule(addresses=addresses)
    assert rule.fits(some(*range(addresses - 1)), some(99))
    assert not rule.fits(some(*range(addresses)), some(99))


def test_a_pupils_own_counts_unless_the_city_says_otherwise() -> None:
    there = some(1, 2) + some(3, kind=P)
    assert not AddressRule().fits(there, some(4))
    assert AddressRule(pupils_count=False).fits(there, some(4))
    assert AddressRule(pupils_count=False).fits(some(1, 2, 3), some(4, kind=P))
    # a mailbox that is a guardian's and the pupil's counts as the guardian's
    assert not AddressRule(pupils_count=False).fits([*some(1, 2, 3), *some(4, kind=P)], some(4))


def test_a_pupils_own_waits_for_a_guardians_and_a_guardians_for_nobodys() -> None:
    for kinds in (kinds for size in range(3) for kinds in combinations_with_replacement((G, P), size)):
        there = [Holding(number, kind) for number, kind in enumerate(kinds)]
        assert lacks_guardian(P, there) is (G not in kinds)
        assert not lacks_guardian(G, there)

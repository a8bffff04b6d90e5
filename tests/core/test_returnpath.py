import hashlib
from base64 import b32encode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailgate.core.returnpath import TOKEN_LENGTH, Slot, open_token, tokens

OLD, NEW, FOREIGN = (bytes([n]) * 32 for n in (1, 2, 3))
IDS = st.integers(min_value=0, max_value=2**48 - 1)
SLOTS = st.sampled_from(Slot)


@given(IDS, SLOTS)
def test_a_token_opens_to_its_id_under_the_old_and_the_new_key(outbox_id: int, slot: Slot) -> None:
    for key in (OLD, NEW):
        assert open_token((OLD, NEW), slot, tokens(key, outbox_id)[slot]) == outbox_id


@given(IDS, SLOTS)
def test_a_token_is_the_id_in_base32_and_a_tag_of_the_lower_bits_of_sixteen_octets(outbox_id: int, slot: Slot) -> None:
    token = tokens(NEW, outbox_id)[slot]
    packed = outbox_id.to_bytes(6, "big")
    digest = hashlib.blake2b(packed, key=NEW, person=b"mailgate returns").digest()
    tag = "".join("abcdefghijklmnopqrstuvwxyz234567"[octet % 32] for octet in digest[slot * 16 : slot * 16 + 16])
    assert token == b32encode(packed).decode("ascii").rstrip("=").lower() + tag
    assert len(token) == TOKEN_LENGTH


@given(IDS, SLOTS)
def test_case_is_no_meaning(outbox_id: int, slot: Slot) -> None:
    assert open_token((NEW,), slot, tokens(NEW, outbox_id)[slot].upper()) == outbox_id


@given(IDS)
def test_a_token_of_one_purpose_opens_for_no_other(outbox_id: int) -> None:
    made = tokens(NEW, outbox_id)
    opened = {(a, b): open_token((NEW,), b, made[a]) for a in Slot for b in Slot}
    assert opened == {(a, b): outbox_id if a is b else None for a in Slot for b in Slot}


@given(IDS, SLOTS)
def test_a_token_of_a_foreign_key_is_none(outbox_id: int, slot: Slot) -> None:
    assert open_token((OLD, NEW), slot, tokens(FOREIGN, outbox_id)[slot]) is None


@given(
    IDS,
    SLOTS,
    st.integers(min_value=0, max_value=TOKEN_LENGTH - 1),
    st.sampled_from("abcdefghijklmnopqrstuvwxyz234567"),
)
def test_every_altered_character_is_noticed_also_in_the_bits_left_over(
    outbox_id: int, slot: Slot, place: int, letter: str
) -> None:
    token = tokens(NEW, outbox_id)[slot]
    altered = token[:place] + letter + token[place + 1 :]
    assert open_token((NEW,), slot, altered) == (outbox_id if altered == token else None)


@pytest.mark.parametrize("last", "bcd")
def test_the_two_bits_that_an_id_leaves_over_must_be_zero(last: str) -> None:
    token = tokens(NEW, 8)[Slot.BOUNCE]
    assert token[9] == "a"  # which b32decode reads alike with b, c and d in its place
    assert open_token((NEW,), Slot.BOUNCE, token) == 8
    assert open_token((NEW,), Slot.BOUNCE, token[:9] + last + token[10:]) is None


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda token: token[:-1], id="truncated"),
        pytest.param(lambda token: token[1:], id="beheaded"),
        pytest.param(lambda token: token + "a", id="longer"),
        pytest.param(lambda token: token + "\n", id="line end"),
        pytest.param(lambda token: " " + token, id="blank before"),
        pytest.param(lambda token: "=" + token[1:], id="padding inside"),
        pytest.param(lambda token: "1" + token[1:], id="not of the alphabet"),
        pytest.param(lambda token: "\u017f" + token[1:], id="a letter that upper case makes ASCII"),
        pytest.param(lambda _token: "", id="empty"),
    ],
)
def test_what_is_no_token_is_none(change) -> None:  # type: ignore[no-untyped-def]  # lambdas in a table
    assert open_token((NEW,), Slot.BOUNCE, change(tokens(NEW, 7)[Slot.BOUNCE])) is None


@given(st.text(max_size=40))
def test_no_text_raises(text: str) -> None:
    assert open_token((OLD, NEW), Slot.STOP, text) is None


def test_without_keys_nothing_opens() -> None:
    assert open_token((), Slot.BOUNCE, tokens(NEW, 7)[Slot.BOUNCE]) is None


def test_a_token_is_the_same_every_time_so_mails_out_there_stay_readable() -> None:
    assert tokens(OLD, 1)[Slot.BOUNCE] == "aaaaaaaaaejcl4chdoagzsfpdy"


@pytest.mark.parametrize("key", [b"", b"k" * 31])
def test_a_short_key_is_refused(key: bytes) -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        tokens(key, 1)


@pytest.mark.parametrize("outbox_id", [-1, 2**48])
def test_an_id_that_does_not_fit_is_never_cut_down_to_another(outbox_id: int) -> None:
    with pytest.raises(OverflowError):
        tokens(NEW, outbox_id)


def test_tokens_do_not_show_themselves() -> None:
    assert repr(tokens(NEW, 7)) == "Tokens(***)"


@pytest.mark.parametrize("slot", Slot)
def test_a_token_is_found_by_the_name_of_its_slot_too(slot: Slot) -> None:
    made = tokens(NEW, 7)
    assert getattr(made, slot.name.lower()) is made[slot]

"""Keys and seals: what is sealed opens in its own place with a key of the ring, and nowhere else."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailgate.core.addresses import parse_spec
from mailgate.runtime import SystemDice
from mailgate.vault import (
    KEY_OCTETS,
    MAIL_KEYS,
    WEB_KEYS,
    AddressVault,
    Keys,
    KeysUnfit,
    Seal,
    SealBroken,
    TextVault,
    load_keys,
    new_key,
)  # fmt: skip
from tests.builders import a_key, some_keys
from tests.fakes import FixedDice

OLD, NEW = a_key("old"), a_key("new")
A_TARO = parse_spec("Taro..Y@docomo.ne.jp")


def a_seal(*ring: bytes) -> Seal:
    return Seal(ring or (OLD,), SystemDice())


def an_address_vault(**rings: tuple[bytes, ...]) -> AddressVault:
    return AddressVault(some_keys(**rings), FixedDice())


# Seals


@given(plain=st.binary(max_size=300), context=st.text(max_size=40))
def test_what_is_sealed_opens_again(plain: bytes, context: str) -> None:
    assert a_seal().open(a_seal().seal(plain, context), context) == plain


@given(plain=st.binary(max_size=60), at=st.integers(min_value=0), bit=st.integers(0, 7))
def test_one_bit_changed_anywhere_breaks_a_seal(plain: bytes, at: int, bit: int) -> None:
    sealed = bytearray(a_seal().seal(plain, "table.column:1"))
    sealed[at % len(sealed)] ^= 1 << bit
    with pytest.raises(SealBroken):
        a_seal().open(bytes(sealed), "table.column:1")


@given(plain=st.binary(max_size=60), kept=st.integers(min_value=0))
def test_a_seal_cut_short_is_broken(plain: bytes, kept: int) -> None:
    sealed = a_seal().seal(plain, "table.column:1")
    with pytest.raises(SealBroken):
        a_seal().open(sealed[: kept % len(sealed)], "table.column:1")


@given(plain=st.binary(max_size=60))
def test_what_somebody_puts_there_does_not_open(plain: bytes) -> None:
    with pytest.raises(SealBroken):
        a_seal().open(plain, "table.column:1")


@pytest.mark.parametrize("place", ["table.column:2", "table.other:1", "other.column:1", "table.column:10", "table.column:", ""])
def test_what_is_moved_to_another_place_does_not_open(place: str) -> None:
    sealed = a_seal().seal(b"secret", "table.column:1")
    with pytest.raises(SealBroken):
        a_seal().open(sealed, place)


def test_another_key_does_not_open() -> None:
    with pytest.raises(SealBroken, match="a key that is not here"):
        a_seal(NEW).open(a_seal(OLD).seal(b"secret", "t.c:1"), "t.c:1")


def test_the_newest_key_seals_and_every_key_of_the_ring_opens() -> None:
    rotated = a_seal(OLD, NEW)
    assert rotated.open(a_seal(OLD).seal(b"secret", "t.c:1"), "t.c:1") == b"secret"
    assert a_seal(NEW).open(rotated.seal(b"secret", "t.c:1"), "t.c:1") == b"secret"
    with pytest.raises(SealBroken):
        a_seal(OLD).open(rotated.seal(b"secret", "t.c:1"), "t.c:1")


def test_the_same_text_is_never_sealed_the_same() -> None:
    seal = a_seal()
    assert seal.seal(b"secret", "t.c:1") != seal.seal(b"secret", "t.c:1")


# Addresses


def test_an_address_comes_back_as_it_was_first_seen_and_only_in_its_own_row() -> None:
    vault = an_address_vault()
    sealed = vault.seal_address(A_TARO, 7)
    assert b"docomo" not in sealed
    assert vault.open_address(sealed, 7) == "Taro..Y@docomo.ne.jp"
    for open_elsewhere in (lambda: vault.open_address(sealed, 8), lambda: vault.open_mail(sealed, 7)):
        with pytest.raises(SealBroken):
            open_elsewhere()


@pytest.mark.parametrize("spelt", ['"Taro..Y"@docomo.ne.jp', "taro..y@docomo.ne.jp", "TARO..Y@DOCOMO.NE.JP", '"taro..\\y"@Docomo.ne.jp'])
def test_all_spellings_of_a_mailbox_are_looked_up_alike(spelt: str) -> None:
    vault = an_address_vault()
    assert vault.lookup(parse_spec(spelt)) == vault.lookup(A_TARO)


@pytest.mark.parametrize("other", ["taro.y@docomo.ne.jp", "taro..y+1@docomo.ne.jp", "taro..y@docomo.jp", "taro..y@mail.docomo.ne.jp"])
def test_another_mailbox_is_looked_up_otherwise(other: str) -> None:
    vault = an_address_vault()
    assert vault.lookup(parse_spec(other)) != vault.lookup(A_TARO)


def test_a_lookup_means_nothing_without_its_key() -> None:
    assert an_address_vault(lookup=(OLD,)).lookup(A_TARO) != an_address_vault(lookup=(NEW,)).lookup(A_TARO)


def test_an_address_is_looked_for_under_every_key_and_entered_under_the_newest() -> None:
    rotated = an_address_vault(lookup=(OLD, NEW))
    assert rotated.lookups(A_TARO) == (
        an_address_vault(lookup=(NEW,)).lookup(A_TARO),
        an_address_vault(lookup=(OLD,)).lookup(A_TARO),
    )
    assert rotated.lookup(A_TARO) == rotated.lookups(A_TARO)[0]


def test_a_mails_digest_is_no_addresss_lookup() -> None:
    vault = an_address_vault()
    assert vault.digest(A_TARO.key.encode()) != vault.lookup(A_TARO)


def test_a_kept_mail_opens_in_its_own_row_alone() -> None:
    vault = an_address_vault()
    sealed = vault.seal_mail(b"From: a\r\n\r\n\xff", 3)
    assert vault.open_mail(sealed, 3) == b"From: a\r\n\r\n\xff"
    for open_elsewhere in (lambda: vault.open_mail(sealed, 4), lambda: vault.open_address(sealed, 3)):
        with pytest.raises(SealBroken):
            open_elsewhere()


# Texts


def test_a_text_opens_in_its_own_column_and_row_alone() -> None:
    texts = TextVault(some_keys(), FixedDice())
    sealed = texts.seal_text("あすは休業です。", "text", 5)
    assert texts.open_text(sealed, "text", 5) == "あすは休業です。"
    for column, row in (("subject", 5), ("cut", 5), ("text", 6)):
        with pytest.raises(SealBroken):
            texts.open_text(sealed, column, row)


def test_the_web_side_reads_texts_without_the_keys_of_addresses() -> None:
    every = some_keys()
    web = Keys({name: every.ring(name) for name in WEB_KEYS})
    sealed = TextVault(every, FixedDice()).seal_text("本文", "text", 1)
    assert TextVault(web, FixedDice()).open_text(sealed, "text", 1) == "本文"
    with pytest.raises(KeyError):
        AddressVault(web, FixedDice())


def test_texts_outlive_a_rotation_of_the_links_keys() -> None:
    sealed = TextVault(some_keys(links=(OLD,)), FixedDice()).seal_text("本文", "text", 1)
    assert TextVault(some_keys(links=(OLD, NEW)), FixedDice()).open_text(sealed, "text", 1) == "本文"


def test_one_key_never_seals_for_two_purposes() -> None:
    same = TextVault(some_keys(links=(OLD,), web=(OLD,)), FixedDice())
    totp = same.seal_totp(b"x", 1)
    with pytest.raises(SealBroken):
        same._text.open(totp, "staff.totp_sealed:1")


# Key files


def write_keys(folder: Path, **content: bytes) -> Path:
    dice = FixedDice()
    for name in MAIL_KEYS:
        (folder / name).write_bytes(content.get(name, new_key(dice)))
    return folder


def test_a_drawn_key_is_read_back_and_is_never_shown(tmp_path: Path) -> None:
    line = new_key(SystemDice())
    keys = load_keys(write_keys(tmp_path, links=line), MAIL_KEYS)
    (key,) = keys.ring("links")
    assert len(key) == KEY_OCTETS
    assert key.hex() not in repr(keys)
    assert line.decode().strip() not in repr(keys)
    assert repr(key) not in repr(keys)


def test_keys_are_read_oldest_first_with_any_line_ends(tmp_path: Path) -> None:
    first, second = new_key(SystemDice()), new_key(SystemDice())
    rings = [
        load_keys(write_keys(tmp_path, links=between.join([first.strip(), second.strip()]) + end), WEB_KEYS).ring("links")
        for between in (b"\n", b"\r\n", b"\n\n")
        for end in (b"\n", b"")
    ]
    assert len(set(rings)) == 1
    assert len(rings[0]) == 2


def test_the_web_side_asks_for_no_key_of_addresses(tmp_path: Path) -> None:
    write_keys(tmp_path)
    (tmp_path / "address").unlink()
    (tmp_path / "lookup").unlink()
    assert set(load_keys(tmp_path, WEB_KEYS).by_name) == {"links", "web"}
    with pytest.raises(KeysUnfit, match="address is missing: restore it"):
        load_keys(tmp_path, MAIL_KEYS)


LINE = new_key(FixedDice())


@pytest.mark.parametrize("content", [b"", b"\n", b"not a key", b"# a key\n" + LINE, LINE[:-6], LINE + b"c2hvcnQ=", b"\xff" * 44])
def test_a_damaged_key_file_is_named(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(KeysUnfit, match="links is damaged"):
        load_keys(write_keys(tmp_path, links=content), WEB_KEYS)


def test_a_key_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    write_keys(tmp_path)
    (tmp_path / "links").unlink()
    (tmp_path / "links").mkdir()
    with pytest.raises(KeysUnfit, match="links cannot be read"):
        load_keys(tmp_path, WEB_KEYS)


def test_each_key_proves_itself_and_says_nothing_of_itself() -> None:
    proofs = some_keys(links=(OLD, NEW)).proofs()
    assert len(proofs["links"]) == 2
    assert proofs["links"][-1] == some_keys(links=(OLD,)).proofs()["links"][0]
    assert OLD not in proofs["links"]

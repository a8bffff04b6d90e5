"""The language of whoever a link was mailed to."""

from mailgate.core.instants import Instant
from mailgate.core.returnpath import Slot
from mailgate.journeys.speech import Speech
from tests.journeys.house import FATHER, FORM, HERE, MOTHER, House


def speech_of(house: House) -> Speech:
    return Speech(db=house.db, links=house.links, clock=house.clock)


async def test_the_links_of_a_mail_speak_the_language_of_its_address(house: House) -> None:
    speech, copy = speech_of(house), await house.a_copy(MOTHER)
    tokens = house.links.tokens(copy)
    assert await speech.of_copy(tokens[Slot.RECEIPT]) == "ja"
    await house.change("UPDATE address SET language = 'easy'")
    assert await speech.of_copy(tokens[Slot.RECEIPT]) == "easy"
    assert await speech.of_stop(tokens[Slot.STOP]) == "easy"
    assert await speech.of_stop(tokens[Slot.RECEIPT]) is None  # made for something else
    await house.change("UPDATE outbox SET address_id = NULL")
    assert await speech.of_copy(tokens[Slot.RECEIPT]) is None


async def test_the_links_of_a_registration_speak_its_language(house: House) -> None:
    await house.registered(MOTHER)
    await house.added(FATHER)
    (changed,) = await house.ask("SELECT id FROM change")
    undo = await house.undo_token(changed["id"])
    await house.keep.forgot(FORM.login_id, client=HERE)
    (link,) = await house.ask("SELECT link_id, issued_at FROM password_link")
    reset = house.links.password_token(link["link_id"], Instant(link["issued_at"]))
    await house.change("UPDATE address SET language = 'en'")
    speech = speech_of(house)
    assert (await speech.of_undo(undo), await speech.of_reset(reset)) == ("en", "en")
    assert (await speech.of_undo(reset), await speech.of_reset(undo)) == (None, None)


async def test_a_link_that_does_not_open_has_no_language(house: House) -> None:
    speech = speech_of(house)
    for ask in (speech.of_copy, speech.of_stop, speech.of_reset, speech.of_undo):
        assert await ask("x") is None
    unknown = house.links.tokens(9_999)
    assert await speech.of_copy(unknown.receipt) is None
    assert await speech.of_reset(house.links.password_token(bytes(15), house.clock.now())) is None
    assert await speech.of_undo(house.links.undo_token(bytes(15), house.clock.now())) is None

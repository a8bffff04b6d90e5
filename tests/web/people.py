"""Whom the fakes know: one registration, its addresses, its owner."""

from mailgate.core.instants import DAY, later
from mailgate.journeys.shown import ContactLine, Registered
from tests.fakes import NEW_YEAR_2026

OWNER, PASSWORD, PROOF = "hanako-y", "kumo-to-ame", "proof.of-a-quarter-hour"
MOTHER = ContactLine(
    id="c1",
    label="母のスマホ",
    kind="guardian",
    provider="docomo",
    proven_on=NEW_YEAR_2026,
    last_delivery=later(NEW_YEAR_2026, DAY),
    is_this=False,
)
FATHER = ContactLine(
    id="c2", label="", kind="guardian", provider="gmail", proven_on=None, last_delivery=None, is_this=False
)
CHILD = Registered(
    login_id=OWNER, pupil_name="山田 花子", school_name="北小学校", class_text="3年1組", on_roster=True
)

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailgate.core.addresses import NULL_PATH, Address, NullPath, parse_path, parse_spec
from mailgate.core.answering import SILENCE, UNPROVEN, Candidate, Silent, answer, candidate, silence
from mailgate.core.authentication import Proof, Reach, Verdict
from mailgate.core.headers import scan
from mailgate.core.inbound import Inbound
from mailgate.core.instants import Instant

DOMAIN = "gate.example.jp"
GUARDIAN = "taro..y@docomo.ne.jp"


def _silence(
    head: str = f"From: {GUARDIAN}", *, sender: str = GUARDIAN, to: tuple[str, ...] = ("touroku",), body: bytes = b""
) -> str | None:
    content = head.encode("latin-1") + b"\r\n\r\n" + body
    recipients = [parse_path(f"<{local}@{DOMAIN}>") for local in to]
    mail = Inbound(
        sender=parse_path(f"<{sender}>"),
        recipients=tuple(recipient for recipient in recipients if not isinstance(recipient, NullPath)),
        peer="192.0.2.1",
        received_at=Instant(0),
        content=content,
    )
    return silence(mail, scan(content), domain=DOMAIN)


def _with(*fields: str, sender: str = GUARDIAN) -> str | None:
    return _silence("\r\n".join((f"From: <{sender}>", *fields)), sender=sender)


@pytest.mark.parametrize(
    "head",
    [
        "",
        "From: taro..y@docomo.ne.jp",
        'From: "taro..y"@docomo.ne.jp',
        "From: Taro <TARO..Y@Docomo.ne.jp>",
        "From: taro..y@docomo.ne.jp\r\nSubject:",
        "From: taro..y@docomo.ne.jp\r\nSubject: =?iso-2022-jp?B?GyRCRVBPPxsoQg==?=",
        "From: taro..y@docomo.ne.jp\r\nSubject: \x93\x6f\x98\x5e",
        "From: taro..y@docomo.ne.jp\r\nReply-To: other@x.jp",
        "From: taro..y@docomo.ne.jp\r\nSender: other@x.jp",
        "From: taro..y@docomo.ne.jp\r\nX-Auto-Response-Suppress: All",
        "From: taro..y@docomo.ne.jp\r\nX-Auto-Response-Suppress: DR, OOF, AutoReply",
        "From: taro..y@docomo.ne.jp\r\nAuto-Submitted: no",
        "From: taro..y@docomo.ne.jp\r\nAuto-Submitted: No (a person)",
        "From: taro..y@docomo.ne.jp\r\nAuto-Submitted: no; x=y",
        "From: taro..y@docomo.ne.jp\r\nPrecedence: first-class",
        "From: taro..y@docomo.ne.jp\r\nX-Loop: other.jp",
        "From: taro..y@docomo.ne.jp\r\nContent-Type: multipart/mixed; boundary=report",
        "From: taro..y@docomo.ne.jp\r\nContent-Type: text/plain; name=multipart/report",
        "From: taro..y@docomo.ne.jp\r\nContent-Type: nonsense",
        "From: taro..y@docomo.ne.jp\r\nSubject: Re: Undelivered Mail Returned to Sender",
        "From: taro..y@docomo.ne.jp\r\nSubject: Fwd: failure notice",
        "From: taro..y@docomo.ne.jp\r\nX-Mailer: List-Mailer",
        "From: taro..y@docomo.ne.jp" + "\r\nReceived: by x" * 30,
    ],
)
def test_a_guardian_gets_a_reply_whatever_the_phone_adds(head: str) -> None:
    assert _silence(head) is None


@pytest.mark.parametrize(
    "field, reason",
    [
        ("Content-Type: multipart/report; report-type=delivery-status; boundary=x", "delivery_report"),
        ("Content-Type: MULTIPART/Report", "delivery_report"),
        ("Content-Type: message/delivery-status", "delivery_report"),
        ("Content-Type: message/global-delivery-status", "delivery_report"),
        ("Content-Type: message/disposition-notification", "delivery_report"),
        ("Content-Type: message/feedback-report", "delivery_report"),
        ("Content-Type: text/plain\r\nContent-Type: multipart/report", "delivery_report"),
        ("X-Failed-Recipients: x@y.jp", "failed_recipients"),
        ("Auto-Submitted: auto-replied", "auto_submitted"),
        ("Auto-Submitted: auto-generated", "auto_submitted"),
        ("Auto-Submitted: auto-notified; owner-email=x", "auto_submitted"),
        ("AUTO-SUBMITTED: Auto-Replied (vacation)", "auto_submitted"),
        ("Auto-Submitted:", "auto_submitted"),
        ("Auto-Submitted: something-new", "auto_submitted"),
        ("Auto-Submitted: no\r\nAuto-Submitted: auto-replied", "auto_submitted"),
        ("Precedence: bulk", "precedence"),
        ("Precedence: Junk", "precedence"),
        ("Precedence: list", "precedence"),
        ("Precedence: auto_reply", "precedence"),
        ("List-Id: <x.y.jp>", "list"),
        ("List-Unsubscribe: <mailto:x@y.jp>", "list"),
        ("list-post: NO", "list"),
        ("List-Anything: x", "list"),
        ("X-Autoreply: yes", "autoreply"),
        ("X-Autorespond:", "autoreply"),
        ("X-Auto-Reply-From: x@y.jp", "autoreply"),
        ("X-Mail-Autoreply: yes", "autoreply"),
        ("X-Loop: renraku@gate.example.jp", "loop"),
        ("X-Loop: GATE.EXAMPLE.JP", "loop"),
        ("\r\n".join(["Received: by x"] * 31), "hops"),
        ("Subject: Undelivered Mail Returned to Sender", "bounce_subject"),
        ("Subject: Mail System Error -  Returned Mail", "bounce_subject"),
        ("Subject: =?utf-8?q?failure_notice?=", "bounce_subject"),
        ("Subject: Delivery Status Notification (Failure)", "bounce_subject"),
        ("X-Auto-Response-Suppress: All\r\nAuto-Submitted: auto-replied", "auto_submitted"),
    ],
)
def test_no_reply_to_a_mail_with_this_field(field: str, reason: str) -> None:
    assert _with(field) == reason


@pytest.mark.parametrize(
    "sender",
    [
        "MAILER-DAEMON@ezweb.ne.jp",
        "mailer-daemon@docomo.ne.jp",
        "postmaster@x.jp",
        "Hostmaster@x.jp",
        "abuse@x.jp",
        "root@mail.x.jp",
        "daemon@x.jp",
        "majordomo@x.jp",
        "listserv@x.jp",
        "bounce@x.jp",
        "bounces+123-abc@x.jp",
        "bounce-7-taro=docomo.ne.jp@x.jp",
        "no-reply@x.jp",
        "noreply@x.jp",
        "no_reply@x.jp",
        "No.Reply+abc@x.jp",
        "donotreply@x.jp",
        "do-not-reply@x.jp",
        "do_not_reply@x.jp",
        "noreply-123@x.jp",
        "pta-request@x.jp",
        "pta-bounces@x.jp",
        "pta-bounces+taro=docomo.ne.jp@x.jp",
        "owner-pta@x.jp",
        "pta-owner@x.jp",
        "SRS0=HHH=TT=docomo.ne.jp=taro@fwd.x.jp",
        "srs1=HHH=x.jp==HHH=TT=docomo.ne.jp=taro@fwd.x.jp",
        "SRS0+HHH=TT=docomo.ne.jp=taro@fwd.x.jp",
        "prvs=1234567890=taro@x.jp",
        "msprvs1=1234=bounces@x.jp",
        "btv1==123==taro@x.jp",
        "root+tag@x.jp",
    ],
)
def test_no_reply_to_a_role_a_list_or_a_machine(sender: str) -> None:
    assert _with(sender=sender) == "role_sender"


@pytest.mark.parametrize(
    "sender",
    [
        "rooto@x.jp",
        "taro.root@x.jp",
        "postmaster-taro@x.jp",
        "noreplyuki@x.jp",
        "owner@x.jp",
        "request@x.jp",
        "taro-requests@x.jp",
        "srs@x.jp",
        "list@x.jp",
        "-a@ezweb.ne.jp",
        "taro+no-reply@gmail.com",
    ],
)
def test_a_person_whose_address_resembles_a_role_gets_a_reply(sender: str) -> None:
    assert _with(sender=sender) is None


@pytest.mark.parametrize("sender", ["", "MAILER-DAEMON"])
@pytest.mark.parametrize("head", ["", f"From: {GUARDIAN}", "From: MAILER-DAEMON", "Subject: x"])
def test_no_reply_to_the_null_sender(sender: str, head: str) -> None:
    assert _silence(head, sender=sender) == "null_sender"


@pytest.mark.parametrize("sender", [f"renraku@{DOMAIN}", f"b+abc@{DOMAIN}", f"taro@mail.{DOMAIN}", "x@GATE.example.JP"])
def test_no_reply_to_our_own_domain(sender: str) -> None:
    assert _with(sender=sender) == "own_domain"


def test_our_domain_may_be_configured_in_capitals() -> None:
    content = b"X-Loop: gate.example.jp\r\n\r\n"
    for sender, reason in ((f"x@{DOMAIN}", "own_domain"), (GUARDIAN, "loop")):
        mail = Inbound(
            sender=parse_path(f"<{sender}>"), recipients=(), peer="", received_at=Instant(0), content=content
        )
        assert silence(mail, scan(content), domain=DOMAIN.upper()) == reason


def test_a_domain_that_ends_like_ours_is_another() -> None:
    assert _with(sender="taro@mygate.example.jp") is None


@pytest.mark.parametrize(
    "head",
    [
        "From: other@docomo.ne.jp",
        "From: taro..y@ezweb.ne.jp",
        "From: taro.y@docomo.ne.jp",
        "From: taro..y+x@docomo.ne.jp",
        "From: MAILER-DAEMON",
        "From:",
        "From: <>",
        "From: undisclosed",
        "From: taro..y@docomo.ne.jp, other@docomo.ne.jp",
        "From: taro..y@docomo.ne.jp\r\nFrom: taro..y@docomo.ne.jp",
        "From: taro..y@docomo.ne.jp\r\nFrom: other@docomo.ne.jp",
        "From: no-reply@kddi.com\r\nReply-To: taro..y@docomo.ne.jp",
    ],
)
def test_no_reply_if_sender_and_from_differ(head: str) -> None:
    assert _silence(head) == "differs"


@pytest.mark.parametrize(
    "sender, head, reason",
    [
        # An old gateway's bounce: no null sender, no report, no Auto-Submitted, a misspelt MIME header.
        (
            "MAILER-DAEMON@ezweb.ne.jp",
            "From: Administrator <Postmaster@ezweb.ne.jp>\r\nSubject: Mail System Error - Returned Mail\r\nMIME-Virsion: 1.0",
            "role_sender",
        ),
        (
            "MAILER-DAEMON",
            "From: no-reply@ezweb.ne.jp\r\nSubject: =?iso-2022-jp?B?GyRCJSglaSE8GyhC?=\r\nContent-Type: text/plain",
            "null_sender",
        ),
        ("gateway@ezweb.ne.jp", "From: no-reply@ezweb.ne.jp\r\nContent-Type: text/plain", "differs"),
        ("gateway@ezweb.ne.jp", "From: MAILER-DAEMON\r\nContent-Type: text/plain", "differs"),
        ("gateway@ezweb.ne.jp", "From: gateway@ezweb.ne.jp\r\nSubject: Returned mail: User unknown", "bounce_subject"),
    ],
)
def test_a_bounce_in_plain_text_is_known_by_weak_signs(sender: str, head: str, reason: str) -> None:
    body = b"Your message could not be delivered.\r\n550 <x@y.jp>: User unknown\r\n"
    assert _silence(head, sender=sender, body=body) == reason


def test_no_reply_to_a_mail_for_several_of_our_boxes() -> None:
    assert _silence(to=("touroku", "renraku")) == "recipients"


def test_one_box_named_twice_is_one() -> None:
    assert _silence(to=("touroku", "TOUROKU", "touroku")) is None


def test_several_boxes_hide_no_other_reason() -> None:
    assert _silence("From: other@x.jp", to=("haishin+all", "haishin+staff")) == "differs"


@pytest.mark.parametrize(
    "sender, head",
    [
        (f"b+abc@{DOMAIN}", f"From: renraku@{DOMAIN}\r\nAuto-Submitted: auto-replied"),
        ("b+abc@other-gate.jp", "From: renraku@other-gate.jp\r\nAuto-Submitted: auto-replied"),
        ("b+abc@other-gate.jp", "From: renraku@other-gate.jp"),
    ],
)
def test_two_gates_that_face_each_other_fall_silent(sender: str, head: str) -> None:
    assert _silence(head, sender=sender) is not None


def test_each_reason_is_a_stable_word_of_its_own() -> None:
    reasons = [reason for reason, _ in SILENCE]
    assert len(set(reasons)) == len(reasons)
    assert all(reason.replace("_", "").isalpha() for reason in reasons)
    assert "null_sender" not in reasons


@given(st.binary(), st.sampled_from([GUARDIAN, ""]))
def test_deciding_never_raises(content: bytes, sender: str) -> None:
    mail = Inbound(sender=parse_path(f"<{sender}>"), recipients=(), peer="", received_at=Instant(0), content=content)
    reason = silence(mail, scan(content), domain=DOMAIN)
    assert (reason == "null_sender") is (mail.sender is NULL_PATH)


AUTHOR = "hanako@mail.example.jp"
PROVEN = Proof(verdict=Verdict.PASS, is_aligned=True, reach=Reach.YES)
RETURN_PATHS = [
    "prvs=1234567890=hanako@example.jp",
    "prvs1=hanako/1234=x@example.jp",
    "msprvs1=1234=bounces-5@example.jp",
    "btv1==123==hanako@example.jp",
    "SRS0=HHH=TT=mail.example.jp=hanako@example.jp",
    "srs1+HHH=x.jp==HHH=TT=y.jp=hanako@example.jp",
    "bounce@example.jp",
    "bounces+1234@example.jp",
    "Bounce-7@example.jp",
    "pta+touroku=gate.example.jp@example.jp",
]


def _candidate(head: str, *, sender: str, to: tuple[str, ...] = ("touroku",)) -> Candidate | Silent:
    content = head.encode("latin-1") + b"\r\n\r\n"
    mail = Inbound(
        sender=parse_path(f"<{sender}>"),
        recipients=tuple(parse_spec(f"{local}@{DOMAIN}") for local in to),
        peer="192.0.2.1",
        received_at=Instant(0),
        content=content,
    )
    headers = scan(content)
    return candidate(mail, headers, reason=silence(mail, headers, domain=DOMAIN), domain=DOMAIN)


def test_who_wrote_himself_gets_the_answer_himself() -> None:
    assert _candidate(f"From: {GUARDIAN}", sender=GUARDIAN) == Candidate(parse_spec(GUARDIAN))
    assert _candidate("Subject: x", sender=GUARDIAN) == Candidate(parse_spec(GUARDIAN))


@pytest.mark.parametrize("sender", RETURN_PATHS)
def test_behind_a_return_path_stands_its_author(sender: str) -> None:
    assert _candidate(f"From: {AUTHOR}", sender=sender) == Candidate(parse_spec(AUTHOR), is_author_only=True)


@pytest.mark.parametrize(
    "sender", ["taro@example.jp", "bouncer@example.jp", "a=b@example.jp", "postmaster@example.jp", "no-reply@example.jp"]
)
def test_behind_a_persons_or_a_roles_address_stands_nobody_else(sender: str) -> None:
    assert isinstance(_candidate(f"From: {AUTHOR}", sender=sender), Silent)


@pytest.mark.parametrize(
    "head, reason",
    [
        ("Subject: no author", "role_sender"),
        ("From: a@x.jp, b@x.jp", "role_sender"),
        ("From: no-reply@mail.example.jp", "role_sender"),
        (f"From: renraku@{DOMAIN}", "role_sender"),
        ("From: prvs=1=hanako@mail.example.jp", "role_sender"),
        (f"From: {AUTHOR}\r\nAuto-Submitted: auto-replied", "role_sender"),
        (f"From: {AUTHOR}\r\nList-Id: <x>", "role_sender"),
    ],
)
def test_an_author_behind_a_return_path_is_answered_only_if_he_would_be_himself(head: str, reason: str) -> None:
    assert _candidate(head, sender="bounces+1@example.jp") == Silent(reason)


def test_nobody_stands_behind_the_null_sender() -> None:
    assert _candidate(f"From: {AUTHOR}", sender="") == Silent("null_sender")


def test_a_mail_to_several_boxes_has_no_candidate() -> None:
    assert _candidate(f"From: {GUARDIAN}", sender=GUARDIAN, to=("touroku", "id")) == Silent("recipients")


HIMSELF, BEHIND = Candidate(parse_spec(GUARDIAN)), Candidate(parse_spec(AUTHOR), is_author_only=True)


@pytest.mark.parametrize("who", [HIMSELF, BEHIND])
@pytest.mark.parametrize("verdict", list(Verdict))
@pytest.mark.parametrize("is_aligned", [True, False])
@pytest.mark.parametrize("reach", list(Reach))
def test_every_proof_is_answered_or_not(who: Candidate, verdict: Verdict, is_aligned: bool, reach: Reach) -> None:
    found = answer(who, Proof(verdict=verdict, is_aligned=is_aligned, reach=reach))
    if verdict is Verdict.FAIL:
        assert found == Silent("dmarc")
    elif who is BEHIND and not (verdict is Verdict.PASS and is_aligned):
        assert found == Silent("differs")
    elif reach in (Reach.NO_DOMAIN, Reach.NULL_MX):
        assert found == Silent(reach.value)
    else:
        assert found == who.to


def test_what_nobody_knows_does_no_harm() -> None:
    assert answer(HIMSELF, Proof()) == HIMSELF.to


def test_each_reason_of_the_network_is_a_stable_word() -> None:
    assert [reason for reason, _ in UNPROVEN] == ["dmarc", "differs", "no_domain", "null_mx"]
    assert answer(BEHIND, PROVEN) == BEHIND.to


@given(st.text(alphabet="ab=.-@+1", min_size=1, max_size=64))
def test_any_return_path_is_looked_at(local: str) -> None:
    content = f"From: {AUTHOR}\r\n\r\n".encode()
    mail = Inbound(
        sender=Address(local, "example.jp"), recipients=(), peer="", received_at=Instant(0), content=content
    )
    headers = scan(content)
    assert isinstance(candidate(mail, headers, reason=silence(mail, headers, domain=DOMAIN), domain=DOMAIN), Candidate | Silent)

from mailgate.core.addresses import NULL_PATH, Address, NullPath, parse_spec
from mailgate.core.headers import scan
from mailgate.core.inbound import Inbound, digest_material
from mailgate.core.instants import Instant


def _mail(
    content: bytes = b"Message-ID: <1@phone>\r\n\r\nx",
    sender: str | NullPath = "a..b@docomo.ne.jp",
    to: tuple[str, ...] = ("touroku@gate.example.jp",),
    at: int = 0,
) -> Inbound:
    return Inbound(
        sender=sender if isinstance(sender, NullPath) else parse_spec(sender),
        recipients=tuple(parse_spec(spec) for spec in to),
        peer="192.0.2.1",
        received_at=Instant(at),
        content=content,
    )


def _material(mail: Inbound) -> bytes:
    return digest_material(mail, scan(mail.content))


def test_the_same_mail_delivered_again_is_the_same() -> None:
    again = _mail(b"Received: from x\r\nMessage-ID:  <1@phone>\r\n\r\nx", "A..B@DOCOMO.ne.jp", at=9)
    assert _material(again) == _material(_mail())


def test_the_order_of_recipients_makes_no_difference() -> None:
    assert _material(_mail(to=("a@x.jp", "b@x.jp"))) == _material(_mail(to=("B@x.jp", "a@x.jp", "a@x.jp")))


def test_what_differs_in_sender_recipient_or_message_id_is_another_mail() -> None:
    mails = [
        _mail(),
        _mail(sender="a.b@docomo.ne.jp"),
        _mail(sender=NULL_PATH),
        _mail(to=("code@gate.example.jp",)),
        _mail(to=("touroku@gate.example.jp", "code@gate.example.jp")),
        _mail(b"Message-ID: <2@phone>\r\n\r\nx"),
        _mail(b"Message-ID: <1@PHONE>\r\n\r\nx"),
    ]
    assert len({_material(mail) for mail in mails}) == len(mails)


def test_without_a_message_id_the_body_decides() -> None:
    one, same, other = (
        _mail(b"\r\n\r\n"),
        _mail(b"\r\n\r\n", at=9),
        _mail(b"\r\n\r\nhello"),
    )
    assert _material(one) == _material(same) != _material(other)
    assert _material(_mail(b"Subject: a\r\n\r\nx")) == _material(_mail(b"Message-ID:  \r\n\r\nx"))


def test_a_body_cannot_pass_for_a_message_id() -> None:
    assert _material(_mail(b"\r\n<1@phone>")) != _material(_mail(b"Message-ID: <1@phone>\r\n\r\n"))


def test_a_mail_shows_neither_its_content_nor_its_sender() -> None:
    shown = repr(_mail(b"secret"))
    assert "secret" not in shown
    assert "docomo" not in shown
    assert repr(Address("a", "b")) in shown

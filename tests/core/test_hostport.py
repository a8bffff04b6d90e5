import pytest

from mailgate.core.hostport import split_hostport, split_server


@pytest.mark.parametrize(
    "text, found",
    [
        ("127.0.0.1:8025", ("127.0.0.1", 8025)),
        ("gate.example.jp:0", ("gate.example.jp", 0)),
        ("[::1]:25", ("::1", 25)),
        ("127.0.0.1", None),
        (":25", None),
        ("a:x", None),
        ("a:65536", None),
    ],
)
def test_a_place_to_listen_has_a_host_and_a_port(text: str, found: tuple[str, int] | None) -> None:
    assert split_hostport(text) == found


@pytest.mark.parametrize(
    "text, found",
    [
        ("192.0.2.53", ("192.0.2.53", 53)),
        ("192.0.2.53:5353", ("192.0.2.53", 5353)),
        ("2001:db8::53", ("2001:db8::53", 53)),
        ("[2001:db8::53]:5353", ("2001:db8::53", 5353)),
        ("[2001:db8::53]", None),
        ("192.0.2.53:0", None),
        ("192.0.2.53:x", None),
        ("ns.example.jp", None),
        ("ns.example.jp:53", None),
        ("", None),
    ],
)
def test_a_name_server_has_an_address_and_perhaps_a_port(text: str, found: tuple[str, int] | None) -> None:
    assert split_server(text, port=53) == found

"""Host and port in one text, as a configuration writes where to listen and whom to ask."""

import re
from ipaddress import ip_address
from typing import Final

MAX_PORT: Final = 65_535


def split_hostport(text: str) -> tuple[str, int] | None:
    """Host and port of `HOST:PORT` or `[V6]:PORT`; port 0 is any free one."""
    host, colon, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not colon or not host or not re.fullmatch(r"[0-9]{1,5}", port) or int(port) > MAX_PORT:
        return None
    return host, int(port)


def split_server(text: str, *, port: int) -> tuple[str, int] | None:
    """Address and port of `IP`, `IP:PORT` or `[V6]:PORT`; None if it is none of these."""
    has_port = text.startswith("[") or text.count(":") == 1
    found = split_hostport(text) if has_port else (text, port)
    if found is None or not found[1]:
        return None
    try:
        ip_address(found[0])
    except ValueError:
        return None
    return found

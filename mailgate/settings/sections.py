"""The sections: every key, its type and its default."""

import os
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from mailgate.core.hostport import MAX_PORT
from mailgate.core.registration import AddressRule
from mailgate.core.routing import BoxNames

Port = Annotated[int, msgspec.Meta(ge=1, le=MAX_PORT)]
Positive = Annotated[int, msgspec.Meta(ge=1)]
Rate = Annotated[float, msgspec.Meta(ge=0)]


class Gate(msgspec.Struct, frozen=True, kw_only=True):
    """Who we are."""

    domain: str = "gate.example.jp"
    public_url: str = "http://127.0.0.1:8080"
    name: str = "学校メール"
    board: str = "市教育委員会"
    timezone: str = "Asia/Tokyo"
    operator: str = "root@localhost"
    helpline: str = ""


class Smtp(msgspec.Struct, frozen=True, kw_only=True):
    """Mail's way in."""

    listen: tuple[str, ...] = ("127.0.0.1:8025",)
    trusted_relays: tuple[str, ...] = ()
    authserv_id: str = ""


class Submission(msgspec.Struct, frozen=True, kw_only=True):
    """Where staff hand in mail with a password."""

    listen: tuple[str, ...] = ()
    listen_tls: tuple[str, ...] = ()


class Tls(msgspec.Struct, frozen=True, kw_only=True):
    """Certificate and key for STARTTLS; both empty: not offered."""

    cert: str = ""
    key: str = ""


class Web(msgspec.Struct, frozen=True, kw_only=True):
    """The pages."""

    listen: str = "127.0.0.1:8080"
    trusted_proxies: tuple[str, ...] = ()


class Metrics(msgspec.Struct, frozen=True, kw_only=True):
    """Figures for Prometheus; empty: none."""

    listen: str = ""


class RelaySettings(msgspec.Struct, frozen=True, kw_only=True):
    """The next server, which takes all our mail."""

    host: str = "127.0.0.1"
    port: Port = 25
    standby: tuple[str, ...] = ()
    connections: Positive = 16
    window: Positive = 64
    rate: Rate = 0
    overlap: bool = False
    tls: Literal["none", "offered", "required"] = "offered"
    verify: bool = False
    username: str = ""
    password_file: str = ""


class Dkim(msgspec.Struct, frozen=True, kw_only=True):
    """Our signature on what we send; no selector: the relay signs."""

    selector: str = ""


class Store(msgspec.Struct, frozen=True, kw_only=True):
    """The database."""

    url: str = "sqlite:///mailgate.db"


class KeyFolder(msgspec.Struct, frozen=True, kw_only=True):
    """Where the keys are, unless systemd hands them over."""

    dir: str = "keys"


class State(msgspec.Struct, frozen=True, kw_only=True):
    """Where locks and sockets live."""

    dir: str = "."


class Dns(msgspec.Struct, frozen=True, kw_only=True):
    """Which name servers are asked; "none": nobody, and nothing is refused for want of an answer."""

    servers: tuple[str, ...] | Literal["system", "none"] = "system"


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """The whole file."""

    gate: Gate = Gate()
    boxes: BoxNames = BoxNames()
    registration: AddressRule = AddressRule()
    smtp: Smtp = Smtp()
    submission: Submission = Submission()
    tls: Tls = Tls()
    web: Web = Web()
    metrics: Metrics = Metrics()
    relay: RelaySettings = RelaySettings()
    dkim: Dkim = Dkim()
    store: Store = Store()
    keys: KeyFolder = KeyFolder()
    state: State = State()
    dns: Dns = Dns()
    folder: Path = Path()  # where the file is; not a key of it

    @property
    def database(self) -> Path:
        """The database file."""
        return self.folder / self.store.url.removeprefix("sqlite:///")

    @property
    def state_dir(self) -> Path:
        """The folder of locks and sockets."""
        return self.folder / self.state.dir

    @property
    def keys_dir(self) -> Path:
        """The folder of keys: systemd's credentials when it gives some."""
        return Path(os.environ.get("CREDENTIALS_DIRECTORY") or self.folder / self.keys.dir)

"""The journeys as the pages know them, in memory: they keep the promises of the real ones and none of their rows."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import httpx

from mailgate.core import broadcast, registration
from mailgate.core.audience import SchoolKind
from mailgate.core.broadcast import Event, Kind, State
from mailgate.core.instants import DAY, HOUR, Instant, later
from mailgate.core.letters import House
from mailgate.core.registration import AddressRule, Fault, Form, Registration, SchoolFacts
from mailgate.journeys.join import AddRefused, ChooseContact, Landing, NotRegistered
from mailgate.journeys.links import BURNT_LINK, EXPIRED_LINK, INVALID_LINK, LinkDead
from mailgate.journeys.reach import CopyView
from mailgate.journeys.send import Action, ActionRefused, BroadcastView
from mailgate.journeys.shown import Client, Registered
from mailgate.web.app import Pages, create_app
from mailgate.web.views import Views
from tests.fakes import NEW_YEAR_2026, FakeClock
from tests.web.fake_keep import FakeKeep
from tests.web.people import CHILD, FATHER, MOTHER, OWNER, PASSWORD, PROOF

TOKEN = "AbC-_9".ljust(27, "x") + "." + "y" * 43
OTHER_TOKEN = "other".ljust(27, "x") + "." + "y" * 43
EXPIRED_TOKEN = "old".ljust(27, "x") + "." + "y" * 43
COPY_TOKEN = "k" * 26
LETTER_TOKEN = "m" * 26
STOP_TOKEN = "s" * 26
SHORT_CODE = "12345678"
REGISTRATION_CODE = "KITA2026"
PIN = "246810"

GOOD_FORM: Mapping[str, str] = {
    "code": REGISTRATION_CODE,
    "login_id": "hanako-y",
    "password": "kumo-to-ame",
    "name": "山田 花子",
    "kana": "ヤマダ ハナコ",
    "grade": "3",
    "class_name": "1",
    "label": "母のスマホ",
}

KITA = SchoolFacts(
    kind=SchoolKind.ELEMENTARY,
    classes=dict.fromkeys(range(1, 7), ("1", "2")),
    class_names={},
)


class FakeJoin:
    """One live invitation (TOKEN), one expired; a school with one code; five wrong codes burn. One ID is there already (OWNER)."""

    def __init__(self) -> None:
        self.free_mail = False
        self.provider = "docomo"
        self.language = "ja"
        self.here: tuple[str, ...] = ()
        self.registered: list[Registered] = []
        self.contacts = [MOTHER, FATHER]
        self.refusal: AddRefused | None = None
        self.clients: list[Client] = []
        self.proof_over = False
        self.taken = {"taro"}
        self.full = False
        self.on_roster = True
        self.wrong_codes = 0
        self.redeemed: list[str] = []

    async def landing(self, token: str) -> Landing | LinkDead:
        return self._dead(token) or Landing(
            valid_until=later(NEW_YEAR_2026, DAY),
            provider=self.provider,
            free_mail=self.free_mail,
            registered=tuple(self.registered),
            language=self.language,
            registrations_here=self.here,
        )

    async def redeem(self, short_code: str) -> str | None:
        self.redeemed.append(short_code)
        return TOKEN if short_code == SHORT_CODE else None

    async def register(self, token: str, form: Form) -> Registered | NotRegistered | LinkDead:
        dead = self._dead(token)
        if dead is not None:
            return dead
        known = registration.normal_code(form.code) == REGISTRATION_CODE
        checked = registration.check(form, school=KITA if known else None)
        if not isinstance(checked, Registration):
            self.wrong_codes += checked.get("code") is Fault.UNKNOWN_CODE
            return self._dead(token) or NotRegistered(faults=checked)
        return self._admit(checked)

    async def add(
        self, token: str, *, login_id: str, password: str, label: str, kind: str, client: Client
    ) -> Registered | AddRefused | LinkDead:
        self.clients.append(client)
        refused = self._dead(token) or self._refused(login_id, password)
        if refused is not None:
            return refused
        if label.count("@"):
            return AddRefused(reason="fields", faults={"label": Fault.AT_SIGN})
        return self._came()

    async def replace(
        self, token: str, *, login_id: str, password: str, contact: str = "", proof: str = "", client: Client
    ) -> Registered | ChooseContact | AddRefused | LinkDead:
        self.clients.append(client)
        proven = proof == PROOF and not self.proof_over
        refused = self._dead(token) or (None if proven else self._refused(login_id, password))
        if refused is not None:
            return refused
        if len(self.contacts) > 1 and not contact:
            return ChooseContact(proof=PROOF, contacts=tuple(self.contacts))
        if contact and contact not in [line.id for line in self.contacts]:
            return AddRefused(reason="fields", faults={"contact": Fault.MISSING})
        return self._came()

    def _refused(self, login_id: str, password: str) -> AddRefused | None:
        if self.refusal is not None:
            return self.refusal
        return None if (login_id, password) == (OWNER, PASSWORD) else AddRefused(reason="login")

    def _came(self) -> Registered:
        if CHILD not in self.registered:
            self.registered.insert(0, CHILD)
        return CHILD

    def _admit(self, wanted: Registration) -> Registered | NotRegistered:
        for known in self.registered:
            if (known.login_id, known.pupil_name) == (wanted.login_id, wanted.name):
                return known
        if wanted.login_key in self.taken:
            return NotRegistered(faults={"login_id": Fault.TAKEN}, suggestions=("taro2023", "taro2023-1", "taro-2023a"))
        if self.full:
            return NotRegistered(faults={"name": Fault.ADDRESSES_FULL})
        class_text = "" if wanted.grade is None else f"{wanted.grade}年 {wanted.class_slug or ''}".strip()
        made = Registered(
            login_id=wanted.login_id,
            pupil_name=wanted.name,
            school_name="北小学校",
            class_text=class_text,
            on_roster=self.on_roster,
        )
        self.taken.add(wanted.login_key)
        self.registered.insert(0, made)
        return made

    def _dead(self, token: str) -> LinkDead | None:
        if token == EXPIRED_TOKEN:
            return EXPIRED_LINK
        if token != TOKEN:
            return INVALID_LINK
        return BURNT_LINK if self.wrong_codes >= 5 else None


def a_broadcast(**changes: object) -> BroadcastView:
    """A notice to one class, drafted."""
    drafted = BroadcastView(
        state=State.DRAFTED,
        kind=Kind.NOTICE,
        subject="遠足の持ち物",
        text="保護者の皆様\n\n明日の遠足は予定どおり行います。\n水筒と雨具を持たせてください。\n\n北小学校",
        cut="--\n北小学校 教頭\n電話 0144-00-0000",
        audience=("北小学校 3年1組", "北小学校 3年2組"),
        recipients=1234,
        pupils=68,
        unregistered=7,
        warnings=(),
        seen="0123456789abcdef",
        sender_name="佐藤 校長",
        created_at=NEW_YEAR_2026,
        confirmed_at=None,
        done_at=None,
        lapses_at=later(NEW_YEAR_2026, DAY),
        counts={},
    )
    return replace(drafted, **changes)  # type: ignore[arg-type]  # the builder's fields are the record's


class FakeSend:
    """One broadcast (TOKEN) and the PIN of its sender."""

    def __init__(self) -> None:
        self.broadcast = a_broadcast()
        self.wait_s = 0
        self.acts: list[tuple[Action, str]] = []

    async def view(self, token: str) -> BroadcastView | LinkDead:
        return self._dead(token) or self.broadcast

    async def act(self, token: str, action: Action, *, pin: str, seen: str) -> BroadcastView | ActionRefused | LinkDead:
        refused = self._dead(token) or self._refusal(action, pin, seen)
        if refused is not None:
            return refused
        state = broadcast.move(self.broadcast.state, Event(action))
        assert state is not None
        self.acts.append((action, pin))
        self.broadcast = replace(self.broadcast, state=state)
        return self.broadcast

    def _refusal(self, action: Action, pin: str, seen: str) -> ActionRefused | None:
        if seen and seen != self.broadcast.seen:
            return ActionRefused(reason="changed")
        if broadcast.move(self.broadcast.state, Event(action)) is None:
            return ActionRefused(reason="not_now")
        if action == "drop":
            return None
        if not pin:
            return ActionRefused(reason="pin_missing")
        if self.wait_s:
            return ActionRefused(reason="pin_wait", wait_s=self.wait_s)
        return None if pin == PIN else ActionRefused(reason="pin_wrong")

    def _dead(self, token: str) -> LinkDead | None:
        if token == EXPIRED_TOKEN:
            return EXPIRED_LINK
        return None if token == TOKEN else INVALID_LINK


class FakeReach:
    """A copy of a broadcast and a completion mail."""

    def __init__(self, clock: FakeClock) -> None:
        self._clock = clock
        self.copies = {
            COPY_TOKEN: CopyView(
                kind=Kind.EMERGENCY,
                subject="明日は臨時休業です",
                text="大雪のため、明日は全校で臨時休業とします。\n外出を控えてください。\n\n授業の再開は改めてお知らせします。",
                sender_name="北小学校",
                sent_at=later(NEW_YEAR_2026, HOUR),
                confirmed_at=None,
                letter=False,
            ),
            LETTER_TOKEN: CopyView(
                kind=Kind.NOTICE,
                subject="",
                text="",
                sender_name="",
                sent_at=NEW_YEAR_2026,
                confirmed_at=None,
                letter=True,
            ),
        }

    async def copy(self, token: str) -> CopyView | None:
        return self.copies.get(token)

    async def confirm(self, token: str) -> bool:
        if token not in self.copies:
            return False
        first = self.copies[token].confirmed_at or self._clock.now()
        self.copies[token] = replace(self.copies[token], confirmed_at=first)
        return True


class FakeStop:
    """One address (STOP_TOKEN)."""

    def __init__(self) -> None:
        self.is_paused = False
        self.presses: list[str] = []

    async def paused(self, token: str) -> bool | None:
        return self.is_paused if token == STOP_TOKEN else None

    async def pause(self, token: str) -> bool:
        return self._set(token, paused=True)

    async def resume(self, token: str) -> bool:
        return self._set(token, paused=False)

    def _set(self, token: str, *, paused: bool) -> bool:
        if token != STOP_TOKEN:
            return False
        self.presses.append("pause" if paused else "resume")
        self.is_paused = paused
        return True


class FakeSpeech:
    """Everybody reads one language, or nobody knows which."""

    def __init__(self) -> None:
        self.language: str | None = None

    async def of_copy(self, token: str) -> str | None:
        return self.language

    of_stop = of_reset = of_undo = of_copy


def a_house(public_url: str = "https://touroku.example.jp") -> House:
    """Whose pages these are."""
    return House(
        domain="gate.example.jp",
        name="学校メール",
        board="見本市教育委員会",
        public_url=public_url,
        helpline="0120-000-000（8時から22時）",
        timezone="Asia/Tokyo",
    )


def a_view() -> Views:
    """What makes their pages."""
    return Views(a_house(), AddressRule())


@dataclass
class Site:
    """The whole application over fakes, and a browser of sorts."""

    public_url: str = "https://touroku.example.jp"
    trusted_proxies: tuple[str, ...] = ()
    clock: FakeClock = field(default_factory=FakeClock)
    join: FakeJoin = field(default_factory=FakeJoin)
    keep: FakeKeep = field(default_factory=FakeKeep)
    send: FakeSend = field(default_factory=FakeSend)
    stop: FakeStop = field(default_factory=FakeStop)
    speech: FakeSpeech = field(default_factory=FakeSpeech)

    def __post_init__(self) -> None:
        self.reach = FakeReach(self.clock)
        self.app = create_app(
            Pages(
                join=self.join,
                keep=self.keep,
                send=self.send,
                reach=self.reach,
                stop=self.stop,
                speech=self.speech,
                rule=AddressRule(),
                house=a_house(self.public_url),
                clock=self.clock,
                trusted_proxies=self.trusted_proxies,
            )
        )

    def client(self, peer: str = "192.0.2.7") -> httpx.AsyncClient:
        """A client at an address."""
        transport = httpx.ASGITransport(app=self.app, client=(peer, 40_000))
        return httpx.AsyncClient(transport=transport, base_url=self.public_url)

    async def get(self, path: str, **headers: str) -> httpx.Response:
        return await self.client().get(path, headers=_names(headers))

    async def post(self, path: str, fields: Mapping[str, str] | None = None, **headers: str) -> httpx.Response:
        return await self.client().post(path, data=fields, headers=_names(headers))


def _names(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.replace("_", "-"): value for name, value in headers.items()}


def instant_of_new_year(seconds: int = 0) -> Instant:
    return Instant(NEW_YEAR_2026 + seconds * 1_000_000)

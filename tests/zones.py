"""A piece of the DNS in a dictionary, for rules that ask (core.lookups) and for the name server on the loopback."""

from collections.abc import Collection, Mapping, Sequence
from typing import TypeVar

from mailgate.core.lookups import Answer, Inquiry, Lack, Question

T = TypeVar("T")


class Zone:
    """Records as `{"example.jp MX": ["mx.example.jp"]}`; to what is `unknown` nobody answers. `asked` is what was asked, in order."""

    def __init__(self, records: Mapping[str, Sequence[str]], *, unknown: Collection[str] = ()) -> None:
        self.records = {key.lower(): tuple(values) for key, values in records.items()}
        self.unknown = {key.lower() for key in unknown}
        self.asked: list[str] = []

    def answer(self, question: Question) -> Answer:
        key = f"{question.name} {question.kind}".lower()
        self.asked.append(key)
        if key in self.unknown:
            return Lack.UNKNOWN
        if found := self.records.get(key):
            return found
        names = (known.partition(" ")[0] for known in (*self.records, *self.unknown))
        name = question.name.lower()
        return Lack.NO_RECORD if any(known == name or known.endswith("." + name) for known in names) else Lack.NO_NAME

    def found(self, inquiry: Inquiry[T]) -> T:
        """What an inquiry finds here."""
        try:
            question = next(inquiry)
            while True:
                question = inquiry.send(self.answer(question))
        except StopIteration as end:
            result: T = end.value
            return result


class InZone:
    """Names (smtp.names.Names) that are a zone's, without a wire."""

    def __init__(self, zone: Zone) -> None:
        self._zone = zone

    async def ask(self, question: Question) -> Answer:
        return self._zone.answer(question)

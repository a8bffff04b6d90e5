"""The next server of the crash runs, in a process of its own: it outlives the gate, and writes down every copy it takes.

- A copy is written down (one JSON line, and its content beside) when its final dot has come, and once more when its 250 went out: a copy
  whose answer could not be written is a copy too, and whoever wants to know what a recipient sees counts both.
- Commands may come pipelined (RFC 2920). It is strict about their order: content before the 354, a second MAIL, a RCPT without one and the
  like are written down as breaches, and the run that has one fails.
- It hears orders as JSON lines on its standard input and answers each on its standard output. Among them: to kill somebody at the n-th
  line, dot or answer from now, because nobody else is as near to the wire.
- `epoch` is told after each death of the gate. A connection belongs to the epoch in which it was opened, and all its copies with it.

It appends without fsync: nobody kills this process, and the machine stays up.
"""

import asyncio
import json
import os
import signal
import sys
from pathlib import Path
from random import Random
from typing import Any, Final, cast  # Any: orders are JSON

import uvloop

_DOT: Final = b"\r\n.\r\n"


class Sink:
    """What all connections share: the two files, the orders in force, the count of what went by."""

    def __init__(self, folder: Path) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
        self._record = os.open(folder / "record.jsonl", flags, 0o600)
        self._contents = os.open(folder / "contents", flags, 0o600)
        self._size = os.fstat(self._contents).st_size
        self._dice = Random(0)
        self.pace_s = 0.0  # the mean time until a copy is answered
        self.sessions: set[Session] = set()
        self.copies = 0
        self.epoch = 0
        self.pipelining = True
        self.is_holding = False
        self._kill: dict[str, Any] | None = None

    def write(self, **line: object) -> None:
        os.write(self._record, json.dumps(line).encode() + b"\n")

    def taken(self, session: "Session", content: bytes) -> int:
        """A final dot has come: the copy's number."""
        self.copies += 1
        os.write(self._contents, content)
        self.write(
            what="copy", number=self.copies, epoch=session.epoch, sender=session.sender, recipient=session.recipient,
            at=self._size, size=len(content),
        )  # fmt: skip
        self._size += len(content)
        return self.copies

    def pause_s(self) -> float:
        return self._dice.uniform(0, 2 * self.pace_s) if self.pace_s else 0.0

    def passes(self, point: str) -> None:
        """A line, a dot or an answer goes by: perhaps it is the one at which somebody dies."""
        kill = self._kill
        if kill is None or kill["at"] != point:
            return
        kill["nth"] -= 1
        if kill["nth"] <= 0:
            self._kill = None
            for pid in kill["pids"]:
                os.kill(pid, signal.SIGKILL)
            say(fired=point)

    def _set(self, values: dict[str, Any]) -> None:
        for name, value in values.items():
            assert hasattr(self, name), name
            setattr(self, name, value)

    async def obey(self, order: dict[str, Any]) -> None:
        match order.pop("order"):
            case "set":
                self._set(order)
            case "kill":
                self._kill = order
            case "spare":
                self._kill = None
            case "release":
                self.is_holding = False
                for session in list(self.sessions):
                    session.release()
            case "cut":
                for session in list(self.sessions):
                    session.transport.abort()
            case "epoch":
                await asyncio.sleep(0.002)  # a connection that the dead opened last may not have been accepted yet
                while self.sessions:  # the dead have closed theirs, but we may not have read them to the end
                    await asyncio.sleep(0.001)
                self.epoch += 1
            case unknown:
                raise ValueError(unknown)


class Session(asyncio.Protocol):
    """One connection."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self.epoch = sink.epoch
        self.sender = self.recipient = ""
        self._input = bytearray()
        self._is_in_content = self._is_waiting = False
        self._owed: int | None = None  # a copy whose answer is held back

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self._sink.sessions.add(self)
        self._say("220 sink ESMTP")

    def connection_lost(self, exc: Exception | None) -> None:
        self._sink.sessions.discard(self)

    def data_received(self, data: bytes) -> None:
        self._input += data
        self._go_on()

    def _go_on(self) -> None:
        while not self._is_waiting and (self._content() if self._is_in_content else self._command()):
            pass

    def _command(self) -> bool:
        end = self._input.find(b"\r\n")
        if end < 0:
            return False
        line = self._input[:end].decode("latin-1")
        del self._input[: end + 2]
        self._sink.passes("line")
        self._answer(line)
        return True

    def _answer(self, line: str) -> None:
        match line[:4].upper():
            case "EHLO":
                self._say("250-sink\r\n250-8BITMIME\r\n250-SIZE 10240000\r\n" + self._extensions())
            case "MAIL" if not self.sender:
                self.sender = _path(line)
                self._say("250 2.1.0 ok")
            case "RCPT" if self.sender and not self.recipient:
                self.recipient = _path(line)
                self._say("250 2.1.5 ok")
            case "DATA" if self.recipient:
                if self._input:
                    self._breach("content before the 354")
                self._is_in_content = True
                self._say("354 go on")
            case "RSET":
                self.sender = self.recipient = ""
                self._say("250 2.0.0 ok")
            case "NOOP":
                self._say("250 2.0.0 ok")
            case "QUIT":
                self._say("221 2.0.0 bye")
                self.transport.close()
            case _:
                self._breach(f"out of order: {line[:4]}")
                self._say("503 5.5.1 out of order")

    def _extensions(self) -> str:
        return "250-PIPELINING\r\n250 ENHANCEDSTATUSCODES" if self._sink.pipelining else "250 ENHANCEDSTATUSCODES"

    def _content(self) -> bool:
        end = 0 if self._input.startswith(_DOT[2:]) else self._input.find(_DOT) + 2
        if end == 1:  # not found
            return False
        content = bytes(self._input[:end]).replace(b"\r\n..", b"\r\n.")
        del self._input[: end + 3]
        self._is_in_content, self._is_waiting = False, True
        self._owed = self._sink.taken(self, content)
        self._sink.passes("dot")
        if not self._sink.is_holding:
            pause_s = self._sink.pause_s()
            if pause_s:
                asyncio.get_running_loop().call_later(pause_s, self.release)
            else:
                self.release()
        return True

    def release(self) -> None:
        """Answer the copy that waits for it."""
        if self._owed is None:
            return
        number, self._owed = self._owed, None
        self.sender = self.recipient = ""
        self._is_waiting = False
        if not self.transport.is_closing():
            self._say("250 2.0.0 taken")
            self._sink.write(what="answer", number=number)
            self._sink.passes("answer")
            self._go_on()

    def _breach(self, what: str) -> None:
        self._sink.write(what="breach", text=what)

    def _say(self, reply: str) -> None:
        self.transport.write(reply.encode() + b"\r\n")


def _path(line: str) -> str:
    return line.partition("<")[2].partition(">")[0]


def say(**words: object) -> None:
    sys.stdout.write(json.dumps(words) + "\n")
    sys.stdout.flush()


async def serve(folder: Path) -> None:
    """Listen until nobody gives orders any more."""
    loop = asyncio.get_running_loop()
    sink = Sink(folder)
    server = await loop.create_server(lambda: Session(sink), "127.0.0.1", 0, backlog=512)
    say(port=server.sockets[0].getsockname()[1])
    orders = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(orders), sys.stdin)
    async for line in orders:
        await sink.obey(json.loads(line))
        say(done=True)
    server.close()


if __name__ == "__main__":
    uvloop.run(serve(Path(sys.argv[1])))

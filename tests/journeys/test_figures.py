"""The figures of a running gate, as Prometheus reads them."""

import httpx

from tests.journeys.gate import Gate
from tests.journeys.sink import Sink


async def test_a_running_gate_shows_its_figures(gate: Gate, sink: Sink) -> None:
    await gate.make(relay=await sink.start())
    port = gate.free_port()
    gate.set("metrics", "listen", f'"127.0.0.1:{port}"')
    await gate.start()
    async with httpx.AsyncClient() as http:
        answer = await http.get(f"http://127.0.0.1:{port}/")
    assert answer.status_code == 200
    assert "mailgate_loop_stalls_total" in answer.text

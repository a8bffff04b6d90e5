"""`python -m bench`: measure, and write RESULTS.md and results.svg. `--help` says what can be chosen."""

import argparse
import asyncio
import os
import signal
import sys
import tempfile
import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import uvloop

from bench import machine
from bench.drawing import drawing
from bench.ground import SMOKE, Ground, Sizes
from bench.parties import parties
from bench.report import Run, report
from bench.rounds import play

HERE = Path(__file__).resolve().parent


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description="How fast the gate is beside others, on the loopback, in one run.")
    parser.add_argument("--rounds", type=int, help="how often everything is measured (default: 3)")
    parser.add_argument("--million", action="store_true", help="send a broadcast to 1,000,000 recipients too (some minutes)")
    parser.add_argument("--only", metavar="NAMES", help="comma-separated parties; nothing is written without --out")
    parser.add_argument("--recipients", type=int, help="of a broadcast (default: 36,000)")
    parser.add_argument("--patience", type=float, default=0, metavar="S", help="seconds that others may take to rest, each time")
    parser.add_argument("--out", type=Path, help="the folder of RESULTS.md and results.svg (default: bench/)")
    parser.add_argument("--smoke", action="store_true", help="tiny sizes: does everything work? Nothing is written without --out")
    return parser.parse_args()


def _sizes(arguments: argparse.Namespace) -> Sizes:
    sizes = SMOKE if arguments.smoke else Sizes()
    return replace(
        sizes,
        rounds=arguments.rounds or sizes.rounds,
        city=arguments.recipients or sizes.city,
        million=0 if not arguments.million else 2_000 if arguments.smoke else 1_000_000,
    )


def _tell(line: str) -> None:
    sys.stderr.write(line + "\n")


async def _run(arguments: argparse.Namespace) -> Run:
    begun, clock, sizes = datetime.now(UTC), time.perf_counter(), _sizes(arguments)
    task = asyncio.current_task()
    assert task is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)  # then too everything that was started is ended
    load = os.getloadavg()[0]
    everything = parties(million=arguments.million)
    chosen = arguments.only.split(",") if arguments.only else [party.key for party in everything]
    unknown = set(chosen) - {party.key for party in everything}
    if unknown:
        raise SystemExit(f"there is no {', '.join(sorted(unknown))}; known are {', '.join(party.key for party in everything)}")
    with tempfile.TemporaryDirectory(prefix="mailgate-bench-") as name:
        folder = Path(name)
        folder.chmod(0o755)  # Postfix's own user goes through it
        ours = machine.machine(folder)
        played = await play(
            [party for party in everything if party.key in chosen], Ground(folder, sizes), patience_s=arguments.patience, tell=_tell
        )
    return Run(
        played=played, machine=ours, sizes=sizes, begun=begun, took_s=time.perf_counter() - clock, loads=(load, os.getloadavg()[0])
    )


def main() -> int:
    """Measure, write, and say the page."""
    arguments = _arguments()
    os.environ["PATH"] += os.pathsep + os.pathsep.join(("/usr/sbin", "/sbin"))  # where Postfix is, and a user's path may not lead
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        try:
            run = runner.run(_run(arguments))
        except asyncio.CancelledError:
            return 1
    page = report(run)
    sys.stdout.write(page)
    out = arguments.out or (None if arguments.only or arguments.smoke else HERE)
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
        (out / "RESULTS.md").write_text(page, encoding="utf-8")
        (out / "results.svg").write_text(drawing(run), encoding="utf-8")
    return 1 if run.played.broken else 0


if __name__ == "__main__":
    sys.exit(main())

"""`make bench`: what Spotter costs, as ratios measured in one run on this machine.

Absolute times drift by a fifth from minute to minute; a ratio of two things timed side by side
holds.  Each figure is the median of several rounds in which both sides take turns.
"""

import resource
import shutil
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from agent.api.body import ClipBody
from agent.api.client import ApiClient, ApiKey
from agent.clock import read_clock
from agent.outbox.store import Outbox
from agent.sandbox.server import Sandbox
from tests.bench.analysis import bench_analysis
from tests.factories import NOW_S, ready_entry
from tests.station import KEY, run_spotter

_UPLOAD_BYTES = 256 << 20


def timed(action: Callable[[], object]) -> float:
    """Return the seconds that an action takes."""
    began_s = time.perf_counter()
    action()
    return time.perf_counter() - began_s


def ratio(ours: Callable[[], object], yardstick: Callable[[], object], rounds: int = 5) -> float:
    """Return the median of ours over the yardstick, taken in turns."""
    return statistics.median(timed(ours) / timed(yardstick) for _ in range(rounds))


def bench_upload(folder: Path) -> None:
    """Compare an upload with curl's, and watch the memory."""
    clip = folder / "large.mp4"
    with clip.open("wb") as file:
        file.truncate(_UPLOAD_BYTES)
    with (
        Sandbox(key=KEY, keep_dir=folder / "received") as sandbox,
        ApiClient(sandbox.base_url, now=read_clock) as client,
    ):

        def send() -> None:
            with ClipBody(clip, on_last_part=lambda: None) as body:
                client.upload(
                    "/running/sessions/",
                    fields={"session_name": "bench"},
                    file_name="x.mp4",
                    body=body,
                    key=ApiKey(token=KEY, header="API-KEY"),
                )

        def curl() -> None:
            words = ["-sS", "-o", "/dev/null", "-H", f"API-KEY: {KEY}", "-H", "Expect:"]
            form = ["-F", "session_name=bench", "-F", f"video=@{clip};filename=x.mp4"]
            address = f"{sandbox.base_url}/running/sessions/"
            subprocess.run(["curl", *words, *form, address], check=True)  # noqa: S607  # a yardstick

        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        send()
        grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
        print(f"memory grown by uploading {_UPLOAD_BYTES >> 20} MiB: {grown / 1024:.1f} MiB")
        if shutil.which("curl"):
            print(f"upload time / curl's on loopback: {ratio(send, curl, rounds=3):.2f}")


def bench_outbox(folder: Path) -> None:
    """Compare the claim of the next clip with a bare indexed UPDATE, both durable."""
    with Outbox.open(folder) as outbox:
        for number in range(1, 201):
            ready_entry(outbox, number)

        def claim() -> None:
            entry = outbox.entries.next_ready(NOW_S)
            assert entry is not None
            outbox.entries.claim(entry, now_s=NOW_S)

        bare = sqlite3.connect(folder / "bare.db", isolation_level=None)
        bare.executescript(
            "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;"
            "CREATE TABLE t (id INTEGER PRIMARY KEY, fence INTEGER); INSERT INTO t VALUES (1, 0)"
        )

        def update() -> None:
            bare.execute("UPDATE t SET fence = fence + 1 WHERE id = 1")

        print(f"claim of the next clip / a bare durable UPDATE: {ratio(claim, update, 51):.1f}")
        bare.close()


def bench_commands() -> None:
    """Compare the start of the command line with Python's own."""

    def python() -> None:
        subprocess.run([sys.executable, "-c", "pass"], check=True)

    print(f"spotter --help / python -c pass: {ratio(lambda: run_spotter(['--help']), python):.1f}")


def main() -> None:
    """Print every figure."""
    with tempfile.TemporaryDirectory(prefix="spotter-bench-") as name:
        folder = Path(name)
        bench_upload(folder)  # first: the memory's high-water mark counts
        bench_outbox(folder)
        bench_commands()
    bench_analysis()


if __name__ == "__main__":
    main()

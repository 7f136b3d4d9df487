"""What a large outbox costs: the claim of the next clip, and what a person waits for."""

import sqlite3
import subprocess
import sys
import tempfile
from pathlib import Path

from agent.outbox.outbox import Outbox
from tests.bench.timing import ratio
from tests.factories import NOW_S
from tests.seeded import seed
from tests.station import Station, run_spotter

_ENTRIES, _WAITING = 100_000, 5_000


def bench_outbox() -> None:
    """Print every figure of an outbox of a hundred thousand clips."""
    with tempfile.TemporaryDirectory(prefix="spotter-bench-") as name:
        station = Station(Path(name), "http://127.0.0.1:9")
        station.state.mkdir(exist_ok=True)
        seed(station.state, entries=_ENTRIES, waiting=_WAITING)
        _bench_claim(station.state)
        _bench_commands(station)


def _bench_claim(folder: Path) -> None:
    """Compare the claim of the next clip with a bare indexed UPDATE, both durable."""
    bare = sqlite3.connect(folder / "bare.db", isolation_level=None)
    bare.executescript(
        "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;"
        "CREATE TABLE t (id INTEGER PRIMARY KEY, fence INTEGER); INSERT INTO t VALUES (1, 0)"
    )
    with Outbox.open(folder) as outbox:

        def claim() -> None:
            entry = outbox.entries.next_ready(NOW_S + 10 * _ENTRIES)
            assert entry is not None
            outbox.entries.claim(entry, now_s=NOW_S)

        def update() -> None:
            bare.execute("UPDATE t SET fence = fence + 1 WHERE id = 1")

        print(
            f"claim of the next of {_WAITING:,} clips among {_ENTRIES:,} / a bare durable UPDATE: "
            f"{ratio(claim, update, 51):.1f}"
        )
    bare.close()


def _bench_commands(station: Station) -> None:
    """Compare commands with the start of Python: the help loads no command."""

    def python() -> None:
        subprocess.run([sys.executable, "-c", "pass"], check=True)

    def show_help() -> None:
        run_spotter(["--help"])

    def look() -> None:
        run_spotter(["status", "--config", str(station.config)])

    print(f"spotter --help / python -c pass: {ratio(show_help, python):.1f}")
    print(f"spotter status with {_ENTRIES:,} clips / python -c pass: {ratio(look, python):.1f}")

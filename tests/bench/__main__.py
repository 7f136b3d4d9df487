"""`make bench`: what Spotter costs, as ratios measured in one run on this machine.

Absolute times drift by a fifth from minute to minute; a ratio of two things timed side by side
holds.  Each figure is the median of several rounds in which both sides take turns.
"""

import sqlite3
import subprocess
import sys
import tempfile
from pathlib import Path

from agent.outbox.store import Outbox
from tests.bench.analysis import bench_analysis
from tests.bench.timing import ratio
from tests.bench.upload import bench_upload
from tests.factories import NOW_S, ready_entry
from tests.station import run_spotter


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
        bench_outbox(folder)
        bench_commands()
    bench_upload()
    bench_analysis()


if __name__ == "__main__":
    main()

"""`make bench`: what Spotter costs, as ratios measured in one run on this machine.

Absolute times drift by a fifth from minute to minute; a ratio of two things timed side by side
holds.  Each figure is the median of several rounds in which both sides take turns.
"""

import os

from tests.bench.analysis import bench_analysis
from tests.bench.latency import bench_latency
from tests.bench.outbox import bench_outbox
from tests.bench.page import bench_page
from tests.bench.recorder import bench_recorder
from tests.bench.resources import bench_resources
from tests.bench.upload import bench_upload


def main() -> None:
    """Print every figure."""
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # a station's programs are compiled once
    bench_outbox()
    bench_upload()
    bench_page()
    bench_resources()
    bench_recorder()
    bench_analysis()
    bench_latency()


if __name__ == "__main__":
    main()

"""How long a capture takes from its writer's close to the API's answer."""

import statistics
import tempfile
import time
from pathlib import Path

from agent.sandbox.server import Sandbox
from tests.bench.captures import capture
from tests.station import KEY, Station, delivered

_ROUNDS = 3
_SETTINGS: dict[str, dict[str, object]] = {
    "capture": {"settle_s": 0.5},
    "analysis": {"poster": True},
    "quality": {"others_in_picture": "warn"},  # as a station has it
}


def bench_latency() -> None:
    """Print the seconds for 60 s of 1080p30 with one take, each in a daemon of its own."""
    content = capture("ten").read_bytes()
    seconds = [_delivery_s(content) for _ in range(_ROUNDS)]
    print(
        f"from the close of 60 s of 1080p30 to its clip's delivery: "
        f"{statistics.median(seconds):.1f} s (least {min(seconds):.1f} s)"
    )


def _delivery_s(content: bytes) -> float:
    with (
        tempfile.TemporaryDirectory(prefix="spotter-bench-") as name,
        Sandbox(key=KEY) as sandbox,
    ):
        station = Station(Path(name), sandbox.base_url, _SETTINGS)
        with station.running():
            (station.capture / "run.mp4").write_bytes(content)
            began_s = time.perf_counter()
            assert delivered(sandbox, 1)
            return time.perf_counter() - began_s

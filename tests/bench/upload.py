"""What an upload costs: memory, and time beside curl's, to a server that only swallows.

`python -m tests.bench.upload BYTES` prints by how many KiB one upload made the process grow.
"""

import resource
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from agent.api.client import ApiClient, ApiKey
from agent.api.transfer import ClipBody
from agent.clock import read_clock
from agent.stage import ignore_wake
from tests.bench.timing import ratio
from tests.sink import sink

_PATH = "/running/sessions/"


def clip_of(folder: Path, size_bytes: int) -> Path:
    """Return a clip of that size; its zeros take no room on the disk."""
    clip = folder / "large.mp4"
    with clip.open("wb") as file:
        file.truncate(size_bytes)
    return clip


def send(client: ApiClient, clip: Path) -> None:
    """Upload a clip as the lane does."""
    with ClipBody(clip, on_last_part=ignore_wake) as body:
        client.upload(
            _PATH,
            fields={"session_name": "bench"},
            file_name="x.mp4",
            body=body,
            key=ApiKey(token="k", header="API-KEY"),
        )
        assert body.sent_bytes == clip.stat().st_size


def send_by_curl(address: str, clip: Path) -> None:
    """Upload the same with curl."""
    words = ["-sS", "-o", "/dev/null", "-H", "API-KEY: k", "-H", "Expect:"]
    form = ["-F", "session_name=bench", "-F", f"video=@{clip};filename=x.mp4"]
    subprocess.run(["curl", *words, *form, f"{address}{_PATH}"], check=True)  # noqa: S607  # a yardstick


def bench_upload(size_bytes: int = 1 << 30, *, large_bytes: int = 2 << 30) -> None:
    """Print both figures; memory in a process of its own, for only its high-water mark counts."""
    grown = subprocess.run(
        [sys.executable, "-m", "tests.bench.upload", str(large_bytes)],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    print(f"memory grown by uploading {large_bytes >> 20} MiB: {int(grown) / 1024:.1f} MiB")
    if not shutil.which("curl"):
        return
    with (
        tempfile.TemporaryDirectory() as name,
        sink() as address,
        ApiClient(address, now=read_clock) as client,
    ):
        clip = clip_of(Path(name), size_bytes)
        send(client, clip)  # warm
        ours = ratio(lambda: send(client, clip), lambda: send_by_curl(address, clip), rounds=7)
    print(f"upload time / curl's on loopback: {ours:.2f}")


def main() -> None:
    """Upload once and print the growth."""
    with (
        tempfile.TemporaryDirectory() as name,
        sink() as address,
        ApiClient(address, now=read_clock) as client,
    ):
        send(client, clip_of(Path(name), 1 << 20))  # what the first upload of all loads
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        send(client, clip_of(Path(name), int(sys.argv[1])))
        print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)


if __name__ == "__main__":
    main()

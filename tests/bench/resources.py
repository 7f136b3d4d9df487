"""What an idle station takes: memory, processor, wake-ups, the time to its start, and the disk."""

import contextlib
import importlib.metadata
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from agent.sandbox.server import Sandbox
from tests.conftest import REPOSITORY
from tests.process_use import cpu_s, resident_bytes
from tests.served_page import free_port
from tests.station import KEY, Station

_WATCHED_S = 35.0  # a look at the whole folder, every 30 s, is among them
_SETTLED_S = 5.0  # after a start there is work; what is idle comes later
_ROUNDS = 5
_AS_A_COMMAND = (
    "/usr/bin/env",
)  # as a service is started; tests fork a process that has it loaded
# The yardstick for the processor: Python that wakes ten times a second and does nothing.
_WAKING = "import time\nwhile True: time.sleep(0.1)"


@dataclass(frozen=True, slots=True)
class Use:
    """What a process has used up to one moment."""

    at_s: float
    cpu_s: float
    wakes: int


def bench_resources() -> None:
    """Print every figure of this module."""
    with tempfile.TemporaryDirectory(prefix="spotter-bench-") as name, Sandbox(key=KEY) as sandbox:
        _bench_idle(Path(name), sandbox)
        _bench_start(Path(name), sandbox)
    print(f"the environment a station needs on the disk: {_environment_bytes() / 1e6:.0f} MB")


def _bench_idle(folder: Path, sandbox: Sandbox) -> None:
    """Watch two daemons and a yardstick over the same seconds."""
    with contextlib.ExitStack() as running:
        yardstick = running.enter_context(_python(_WAKING))
        processes = {"python that wakes 10 times a second": yardstick}
        for words, listen in (("page on", f"127.0.0.1:{free_port()}"), ("page off", "")):
            usual: dict[str, dict[str, object]] = {
                "web": {"listen": listen},
                "capture": {"rescan_s": 30.0},
            }
            station = Station(folder / words, sandbox.base_url, usual)
            daemon = running.enter_context(station.running(under=_AS_A_COMMAND))
            processes[f"idle daemon, {words}"] = daemon.pid
        time.sleep(_SETTLED_S)
        before = {words: _use(process) for words, process in processes.items()}
        time.sleep(_WATCHED_S)
        bare = resident_bytes(yardstick)
        for words, process in processes.items():
            first, last = before[words], _use(process)
            took_s = last.at_s - first.at_s
            share = 100 * (last.cpu_s - first.cpu_s) / took_s
            wakes = (last.wakes - first.wakes) / took_s
            size = resident_bytes(process)
            print(
                f"{words}: {size / 2**20:.0f} MiB ({size / bare:.1f} of bare Python), "
                f"{share:.2f} % of a core, {wakes:.1f} wake-ups a second"
            )


def _bench_start(folder: Path, sandbox: Sandbox) -> None:
    """Compare the time until a daemon watches its folder with Python's own start."""
    firsts, others = [], []
    for number in range(_ROUNDS):
        station = Station(folder / f"start-{number}", sandbox.base_url)
        firsts.append(_start_s(station) / _bare_start_s())
        others.append(_start_s(station) / _bare_start_s())
    print(
        "start until the folder is watched / python -c pass: "
        f"{statistics.median(others):.1f} (the very first, with an outbox to make: "
        f"{statistics.median(firsts):.1f})"
    )


def _start_s(station: Station) -> float:
    began_s = time.perf_counter()
    with station.running(under=_AS_A_COMMAND):
        return time.perf_counter() - began_s


def _bare_start_s() -> float:
    began_s = time.perf_counter()
    subprocess.run([sys.executable, "-c", "pass"], check=True)
    return time.perf_counter() - began_s


@contextlib.contextmanager
def _python(code: str) -> Iterator[int]:
    process = subprocess.Popen([sys.executable, "-c", code])
    try:
        yield process.pid
    finally:
        process.kill()
        process.wait()


def _use(process: int) -> Use:
    wakes = sum(
        int(found[1])
        for task in Path(f"/proc/{process}/task").iterdir()
        if (found := re.search(r"^voluntary_ctxt_switches:\s+(\d+)", _status(task), re.MULTILINE))
    )
    return Use(time.monotonic(), cpu_s(process), wakes)


def _status(task: Path) -> str:
    try:
        return (task / "status").read_text()
    except OSError:
        return ""  # a thread that has just ended


def _environment_bytes() -> int:
    """Return what the locked packages take that a station needs, without those for tests."""
    lock = (REPOSITORY / "requirements.lock").read_text()
    total = 0
    for name in set(re.findall(r"^([a-z0-9._-]+)==", lock, re.MULTILINE)):
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):  # of other systems
            files = importlib.metadata.files(name) or []
            places = [Path(str(file.locate())) for file in files]
            total += sum(place.stat().st_size for place in places if place.is_file())
    return total

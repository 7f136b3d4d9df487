"""Show which modules of `agent` the happy path of one capture enters, from a traced run.

    .venv/bin/python -m tests.tools.happy_path [--startup]

The real daemon runs against the sandbox API with every function call traced.  It is left idle, then
gets one recording of the animated test athlete, and is watched until the analysis of the session is
complete.  A module counts if code of one of its functions ran in between, in a thread that did more
than in its idle time; importing a module does not count.  What the same threads enter while idle,
too, is marked with a dot.
"""

import argparse
import atexit
import inspect
import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import CodeType, FrameType

_ATHLETE = "someUserId123"
_KEY = "sandbox-key"
_PHASES = ("start-up", "idle", "path")
_IDLE_S = 15.0
_WAIT_S = 180.0
_TRACED = "--traced"
_SETTINGS = """
[station]
id = "happy-path"
activity = "weightlifting"
exercise = "snatch"
barbell_mass = 60
user_id = "{athlete}"

[paths]
capture = "{root}/capture"
state = "{root}/state"

[api]
base_url = "{api}"
key_file = "{root}/key"

[capture]
settle_s = 1.0

[delivery]
send_delay_s = 0

[web]
listen = ""
"""


class Trace:
    """The modules of `agent` whose functions were entered, phase by phase."""

    def __init__(self, out: Path) -> None:
        self._out = out
        self._entered: set[tuple[int, str]] = set()
        self._phases: list[dict[str, list[str]]] = []
        self._names: dict[CodeType, str] = {}

    def begin(self) -> None:
        """Trace every thread from now on; SIGUSR1 ends a phase, the end of the process the last."""
        signal.signal(signal.SIGUSR1, lambda *_: self.end_phase())
        atexit.register(self.end_phase)
        threading.setprofile(self._called)
        sys.setprofile(self._called)

    def end_phase(self) -> None:
        """Write down what was entered since the phase before."""
        entered, self._entered = self._entered, set()
        phase: dict[str, list[str]] = {}
        for thread, module in sorted(entered):
            phase.setdefault(str(thread), []).append(module)
        self._phases.append(phase)
        part = self._out.with_suffix(".part")
        part.write_text(json.dumps(self._phases))
        part.rename(self._out)

    def _called(self, frame: FrameType, event: str, _: object) -> None:
        if event != "call":
            return
        code = frame.f_code
        name = self._names.get(code)
        if name is None:
            # Bodies of modules and classes run at import: only functions are optimised.
            module = str(frame.f_globals.get("__name__"))
            ours = module.split(".")[0] == "agent" and code.co_flags & inspect.CO_OPTIMIZED
            name = self._names[code] = module if ours else ""
        if name:
            self._entered.add((threading.get_ident(), name))


def run_traced(out: Path, words: list[str]) -> None:
    """Run `spotter` with these words in this process, traced."""
    Trace(out).begin()
    from agent.cli import main as spotter  # only now, so that its start-up is traced

    sys.argv = ["spotter", *words]
    spotter()


@contextmanager
def _running(words: list[str], environment: dict[str, str]) -> "Iterator[subprocess.Popen[str]]":
    process = subprocess.Popen(
        [sys.executable, *words],
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)


def measure(root: Path) -> list[dict[str, list[str]]]:
    """Return the modules that each thread entered at start-up, while idle, and with a recording."""
    (root / "capture").mkdir()
    (root / "key").write_text(_KEY)
    with _running(["-m", "agent", "sandbox", "--port", "0", "--processing", "2"], {}) as sandbox:
        assert sandbox.stdout is not None
        found = re.search(r"http://127\.0\.0\.1:\d+", sandbox.stdout.readline())
        assert found is not None, "the sandbox did not name its address"
        config = root / "station.toml"
        config.write_text(_SETTINGS.format(athlete=_ATHLETE, root=root, api=found[0]))
        _film(root / "recording.mp4")
        return _follow(root, config)


def _film(video: Path) -> None:
    words = ["-m", "agent.synthetic", "--storyboard", "snatch", "--out", str(video)]
    subprocess.run([sys.executable, *words], capture_output=True, check=True)


def _follow(root: Path, config: Path) -> list[dict[str, list[str]]]:
    out = root / "trace.json"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ready:
        ready.bind(str(root / "notify"))
        ready.settimeout(_WAIT_S)
        words = ["-m", "tests.tools.happy_path", _TRACED, str(out), "run", "--config", str(config)]
        with _running(words, {"NOTIFY_SOCKET": str(root / "notify")}) as daemon:
            while b"READY=1" not in ready.recv(4096):
                pass
            time.sleep(_IDLE_S)  # until the account and its roster were asked for
            _end_phase(daemon, out, 1)
            time.sleep(_IDLE_S)
            _end_phase(daemon, out, 2)
            (root / "recording.mp4").rename(root / "capture" / "recording.mp4")
            _until(lambda: _state_of_the_clip(config) == "completed", "the clip to be completed")
            _end_phase(daemon, out, 3)
    return _phases(out)[: len(_PHASES)]


def _phases(out: Path) -> list[dict[str, list[str]]]:
    phases: list[dict[str, list[str]]] = json.loads(out.read_text()) if out.exists() else []
    return phases


def _end_phase(daemon: "subprocess.Popen[str]", out: Path, number: int) -> None:
    daemon.send_signal(signal.SIGUSR1)
    _until(lambda: len(_phases(out)) >= number, f"phase {number} to end")


def _until(holds: Callable[[], bool], what: str) -> None:
    ends_at_s = time.monotonic() + _WAIT_S
    while not holds():
        if time.monotonic() > ends_at_s:
            raise SystemExit(f"waited {_WAIT_S:g} s for {what}")
        time.sleep(0.5)


def _state_of_the_clip(config: Path) -> str | None:
    words = [sys.executable, "-m", "agent", "outbox", "list", "--all", "--json"]
    done = subprocess.run(
        [*words, "--config", str(config)], capture_output=True, text=True, check=True
    )
    states = [row["state"] for row in json.loads(done.stdout) if row["kind"] == "entry"]
    return states[0] if states else None


def _package(module: str) -> str:
    return ".".join(module.split(".")[:2]) if module.count(".") > 1 else "agent"


def modules_of(phase: dict[str, list[str]], threads: Iterable[str]) -> set[str]:
    """Return the modules that some threads entered."""
    return {module for thread in threads for module in phase.get(thread, ())}


def show(title: str, modules: set[str], idle: set[str]) -> None:
    """Print modules by package, with their number."""
    print(f"{title}: {len(modules)} modules of agent")
    for package in sorted({_package(module) for module in modules}):
        own = sorted(module for module in modules if _package(module) == package)
        names = [
            module.removeprefix(f"{package}.") + ("·" if module in idle else "") for module in own
        ]
        print(f"  {package:22s} {len(own):3d}  {' '.join(names)}")


def main() -> None:
    """Trace one capture, and print what its happy path entered."""
    if sys.argv[1:2] == [_TRACED]:
        run_traced(Path(sys.argv[2]), sys.argv[3:])
        return
    parser = argparse.ArgumentParser(description="Modules on the happy path of one capture.")
    parser.add_argument("--startup", action="store_true", help="Show those of the start-up, too.")
    with_startup = parser.parse_args().startup
    with tempfile.TemporaryDirectory(prefix="spotter-happy-path-") as folder:
        start_up, idle, path = measure(Path(folder))
    at_work = [thread for thread in path if set(path[thread]) - set(idle.get(thread, ()))]
    entered = modules_of(path, at_work)
    also_idle = modules_of(idle, at_work)
    if with_startup:
        show("start-up", modules_of(start_up, start_up), set())
    show("happy path of one capture", entered, also_idle)
    print(f"of these, not entered by an idle daemon: {len(entered - also_idle)}")


if __name__ == "__main__":
    main()

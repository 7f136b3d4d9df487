"""spotter init: settings that load, a key that was tried, and what to do next."""

import json
import os
import pty
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

import pytest

from agent.sandbox.server import Sandbox
from agent.settings.load import find_config
from tests.station import KEY, PATIENCE_S, delivered, give
from tests.videos import film_run

LIFT = ("--activity", "weightlifting", "--exercise", "snatch")


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "home").mkdir()
    return tmp_path / "home"


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    path = tmp_path / "the key"
    path.write_text(f"{KEY}\n")
    return path


def spotter(home: Path, *words: str, **more: str) -> "subprocess.CompletedProcess[str]":
    environment = {name: value for name, value in os.environ.items() if "XDG_" not in name}
    with mock.patch.dict(os.environ, {**environment, "HOME": str(home), **more}, clear=True):
        return give(words)


def settings_of(home: Path) -> Path:
    return home / ".config" / "spotter" / "station.toml"


def test_a_station_of_this_user_delivers_at_once(
    home: Path, sandbox: Sandbox, key_file: Path, tmp_path: Path
) -> None:
    done = spotter(
        home,
        *("init", "--activity", "running", "--user-id", "athlete-0002", "--json"),
        *("--key-file", str(key_file), "--base-url", sandbox.base_url),
    )

    told = json.loads(done.stdout)
    assert done.returncode == 0, done.stderr
    assert (told["key"], told["config"]) == ("accepted", str(settings_of(home)))
    assert spotter(home, "config", "--check").returncode == 0  # found without --config
    assert KEY not in settings_of(home).read_text() + done.stdout
    quick = {"SPOTTER_CAPTURE__SETTLE_S": "0.3", "SPOTTER_DELIVERY__SEND_DELAY_S": "0"}
    daemon = subprocess.Popen(
        [sys.executable, "-m", "agent", "run"],
        env={**os.environ, "HOME": str(home), "SPOTTER_WEB__LISTEN": "", **quick},
        stderr=subprocess.DEVNULL,
    )
    try:
        film_run(tmp_path / "run.mp4", seconds=3).rename(Path(told["capture"], "run.mp4"))
        assert delivered(sandbox, 1)
    finally:
        daemon.terminate()
        assert daemon.wait(30) == 0


def test_a_key_file_with_two_lines_is_told_apart_from_a_missing_key(
    home: Path, tmp_path: Path
) -> None:
    (tmp_path / "two").write_text("sk-first\nsk-second\n")
    refused = spotter(
        home, "init", "--activity", "running", "--key-file", str(tmp_path / "two"), "--json"
    )
    assert refused.returncode == 78 and not settings_of(home).exists()
    assert "2 lines in" in json.loads(refused.stdout)["error"]
    assert "sk-" not in refused.stdout + refused.stderr

    own = settings_of(home).with_name("api-key")
    own.parent.mkdir(parents=True)
    own.write_text("sk-first\nsk-second\n")
    told = json.loads(spotter(home, "init", "--activity", "running", "--json").stdout)
    assert told["key"] == "missing" and "2 lines in" in told["finding"]


def test_settings_that_are_there_are_kept(home: Path) -> None:
    assert spotter(home, "init", *LIFT).returncode == 0
    before = settings_of(home).read_text()

    refused = spotter(home, "init", "--activity", "running")
    assert refused.returncode == 1 and "--force" in refused.stderr
    assert settings_of(home).read_text() == before

    told = json.loads(spotter(home, "init", "--activity", "running", "--force", "--json").stdout)
    assert Path(told["kept"]).read_text() == before
    assert 'activity = "running"' in settings_of(home).read_text()


@pytest.mark.parametrize(
    ("key", "answer", "code"),
    [(None, "missing", 0), ("another", "refused", 1), ("down", "unreachable", 0)],
)
def test_the_answer_to_the_key_is_said(
    home: Path, sandbox: Sandbox, tmp_path: Path, key: str | None, answer: str, code: int
) -> None:
    words = ["init", *LIFT, "--base-url", sandbox.base_url, "--json"]
    if key is not None:
        (tmp_path / "key").write_text(key)
        words += ["--key-file", str(tmp_path / "key")]
    if key == "down":
        sandbox.stop()

    done = spotter(home, *words)

    told = json.loads(done.stdout)
    assert (done.returncode, told["key"]) == (code, answer)
    assert any("key" in step or "connection" in step for step in told["next"])
    assert spotter(home, "config", "--check").returncode == 0


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--activity", "weightlifting"), "--exercise is required: snatch"),
        ((), "--activity is required: running"),
        (("--activity", "running", "--exercise", "snatch"), "it has no exercises"),
        ((*LIFT, "--key-file", "/proc/none/key"), "/proc/none/key: No such file"),
        ((*LIFT, "--key-file", "{two_lines}"), "/two, which must hold the API key alone"),
        ((*LIFT, "--name", "a\nb"), "must not contain control characters"),
        ((*LIFT, "--station-id", "a b"), 'station.id = "a b": must be 1 to 40 letters'),
        ((*LIFT, "--config", ""), "a file name is expected"),
        ((*LIFT, "--config", "{two_lines}/station.toml"), "choose another file: --config"),
        ((*LIFT, "--config", "/etc/spotter/station.toml"), "sudo spotter init --system"),
        ((*LIFT, "--base-url", "http://example.org"), "without TLS"),
    ],
)
def test_a_mistake_is_one_clear_line_and_writes_nothing(
    home: Path, tmp_path: Path, words: tuple[str, ...], told: str
) -> None:
    two_lines = tmp_path / "two"
    two_lines.write_text("one\ntwo\n")

    done = spotter(home, "init", *(word.format(two_lines=two_lines) for word in words))

    assert done.returncode in {1, 2, 78}
    assert told in done.stderr and "Traceback" not in done.stderr
    assert not list(home.rglob("station.toml*"))


@pytest.fixture
def terminal() -> Iterator[tuple[int, int]]:
    ours, theirs = pty.openpty()
    yield ours, theirs
    os.close(ours)


def test_in_a_terminal_it_asks_and_never_shows_the_key(
    home: Path, sandbox: Sandbox, terminal: tuple[int, int]
) -> None:
    ours, theirs = terminal
    process = subprocess.Popen(
        [sys.executable, "-m", "agent", "init", "--base-url", sandbox.base_url],
        env={**os.environ, "HOME": str(home)},
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    )
    os.close(theirs)
    shown = ""
    for asked, answer in (("Activity", "jumping"), ("Exercise", "Drop Jump"), ("key", KEY)):
        while f"{asked}" not in shown or not shown.rstrip(" ").endswith(":"):
            shown += os.read(ours, 4096).decode()
        os.write(ours, f"{answer}\n".encode())
        shown = ""
    whole = ""
    while True:
        try:
            read = os.read(ours, 4096).decode()
        except OSError:  # the terminal ends with its last process
            break
        if not read:
            break
        whole += read

    assert process.wait(PATIENCE_S) == 0, whole
    assert "acts for all athletes" in whole and KEY not in whole
    key = home / ".config" / "spotter" / "api-key"
    assert key.read_text().strip() == KEY and stat.S_IMODE(key.stat().st_mode) == 0o600


def test_the_users_file_serves_only_where_the_system_has_none(home: Path, tmp_path: Path) -> None:
    own = settings_of(home)
    own.parent.mkdir(parents=True)
    own.touch()
    system = tmp_path / "etc" / "station.toml"
    environ = {"HOME": str(home)}

    assert find_config(None, environ, system=system) == own
    system.parent.mkdir()
    system.touch()
    assert find_config(None, environ, system=system) == system
    assert find_config(None, {**environ, "SPOTTER_CONFIG": "/a.toml"}) == Path("/a.toml")
    assert find_config(Path("/b.toml"), environ) == Path("/b.toml")

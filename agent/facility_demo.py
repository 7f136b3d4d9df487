"""A whole facility on one machine: hub, stations and workers, with a broker that is killed.

Everything is real but the athletes and the API: the hub, its nats-server, the stations and the
workers are the commands that a gym runs.  What is shown at the end is compared clip by clip.
"""

import contextlib
import json
import os
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from agent.demo import (
    DemoPlace,
    end_daemon,
    free_address,
    prepared_demo,
    run_command,
    start_command,
    start_daemon,
    write_station_settings,
)
from agent.errors import AgentError, NotifyError
from agent.facility.broker import HubConnection
from agent.facility.membership import EVENTS_STREAM
from agent.hub.folder import HubFolder
from agent.hub.server import find_server, hub_access
from agent.hub.settings import SiteSettings
from agent.outbox.database import Row
from agent.outbox.outbox import Outbox
from agent.sandbox.server import Sandbox
from agent.synthetic import SceneCamera, Segment, Storyboard

SITE = "demo"
_HUB_PORT, _PAGE_PORT = 4222, 8378
_ATHLETES = ("someUserId123", "athlete-0002", "athlete-0003")
_STATIONS, _WORKERS = 3, 2
_TAKES = 2  # of each station
_WITHIN_S = 240.0  # for any step
_LOOK_EVERY_S = 0.2
_DELIVERED = "take.delivered"

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class FacilityResult:
    """What the facility came to."""

    takes: int  # each delivered once, and once on the board
    stations: int
    by_workers: int  # recordings that workers analysed
    page: str
    folder: Path


@dataclass(slots=True)
class _Facility:
    """The processes of a facility, and where they are."""

    folder: Path
    sandbox: Sandbox
    listen: str
    page: str
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)
    stations: dict[str, DemoPlace] = field(default_factory=dict)
    workers: list[str] = field(default_factory=list)

    @property
    def config(self) -> Path:
        return self.folder / "hub.toml"

    @property
    def hub(self) -> HubFolder:
        return HubFolder(self.folder / "hub")

    def rows(self, station: str) -> list[Row]:
        """Return a station's clips."""
        with Outbox.open(self.stations[station].state) as outbox:
            return [row for row in outbox.listing.rows() if row["kind"] == "entry"]


@contextlib.contextmanager
def facility_demonstration(say: Say) -> Iterator[FacilityResult]:
    """Run a facility through a training; it lives on until the context ends.

    Args:
        say: called with what happens, in one line each.

    Raises:
        AgentError: something was lost, doubled or did not happen in time.
        KeyboardInterrupt: it was broken off; nothing is left of it.
    """
    # Before anything is started: nats-server may be missing.
    find_server(SiteSettings(site=SITE))
    with prepared_demo() as (place, sandbox):
        facility = _Facility(
            place.folder, sandbox, free_address(_HUB_PORT), free_address(_PAGE_PORT)
        )
        try:
            _start(facility, say)
            _train(facility, say)
            yield _compared(facility, say)
        finally:
            for process in reversed(facility.processes):
                end_daemon(process)


def _start(facility: _Facility, say: Say) -> None:
    facility.config.write_text(
        f'[hub]\nsite = "{SITE}"\nstate = {json.dumps(str(facility.hub.root))}\n'
        f'listen = "{facility.listen}"\n\n[web]\nlisten = "{facility.page}"\n',
        encoding="utf-8",
    )
    hub = start_command(["hub", "run"], facility.config, log=facility.folder / "hub.log")
    facility.processes.append(hub)
    _until(facility, lambda: _can_connect(facility), "the hub did not start")
    say(f"hub started; its page: http://{facility.page}")
    new_stations = [f"platform-{number}" for number in range(1, _STATIONS + 1)]
    new_workers = [f"worker-{number}" for number in range(1, _WORKERS + 1)]
    links = [_invited(facility, name) for name in new_stations]  # all before the first one joins:
    worker_links = [_invited(facility, "--worker", name) for name in new_workers]  # fewer restarts
    for name, link in zip(new_stations, links, strict=True):
        _add_station(facility, name, link)
        say(f"station {name} joined")
    for name, link in zip(new_workers, worker_links, strict=True):
        _add_worker(facility, name, link)
        say(f"{name} joined: it analyses for all stations")
    for station, athlete in zip(facility.stations, _ATHLETES, strict=True):
        _told(facility, ["hub", "assign", station, athlete], facility.config)
    say("athletes planned from the hub")
    _until(facility, lambda: _all_assigned(facility), "a plan did not arrive")


def _invited(facility: _Facility, *words: str) -> str:
    told = _told(facility, ["hub", "invite", *words, "--json"], facility.config)
    return str(json.loads(told)["link"])


def _add_station(facility: _Facility, name: str, link: str) -> None:
    place = DemoPlace(facility.folder / name)
    place.capture.mkdir(parents=True)
    station = (name, name.replace("-", " ").capitalize())
    write_station_settings(place, facility.sandbox.base_url, "", athlete=None, station=station)
    with place.config.open("a", encoding="utf-8") as file:
        file.write('\n[analysis]\noffload = "always"\nwork_patience_s = 20\nposter = false\n')
    _told(facility, ["join", "-"], place.config, told=link)
    facility.stations[name] = place
    facility.processes.append(start_daemon(place.config, log=place.log))


def _add_worker(facility: _Facility, name: str, link: str) -> None:
    words = ["worker", "--state", str(facility.folder / name)]
    _told(facility, [*words, "--join", "-"], facility.config, told=link)
    log = facility.folder / f"{name}.log"
    facility.workers.append(name)
    facility.processes.append(start_command(words, facility.config, log=log))
    _until(facility, lambda: "worker connected" in _read(log), f"{name} did not connect")


def _train(facility: _Facility, say: Say) -> None:
    """Film every take, and kill the broker while workers have the first ones in hand."""
    for number in range(1, _TAKES + 1):
        films = [
            (place.capture / f"{station}-{number}.mp4", 10 * number + rank)
            for rank, (station, place) in enumerate(facility.stations.items())
        ]
        with ThreadPoolExecutor(len(films)) as cameras:
            for done in [cameras.submit(_film, path, seed=seed) for path, seed in films]:
                done.result()
        say(f"take {number} filmed on every station")
        if number == 1:
            _until(facility, lambda: _in_hand(facility), "no worker got a recording")
            os.kill(_broker_of(facility), signal.SIGKILL)
            say("broker killed (kill -9) while workers have recordings in hand")


def _film(path: Path, *, seed: int) -> None:
    """Film a snatch in real time: a file that is written faster shows no time of recording."""
    parts = [Segment("stand", 3.0), Segment("snatch", 6.0), Segment("stand", 3.0)]
    story = Storyboard(parts, view="oblique", width=480, height=270, fps=15, seed=seed)
    begun_s = time.monotonic()

    def keep_pace(frames: int) -> None:
        time.sleep(max(0.0, begun_s + frames / story.fps - time.monotonic()))

    SceneCamera(story).record(path, on_frame=keep_pace)


def _compared(facility: _Facility, say: Say) -> FacilityResult:
    """Wait until everything has arrived, and compare it clip by clip.

    Raises:
        AgentError: something was lost or doubled.
    """
    wanted = _TAKES * len(facility.stations)
    _until(
        facility,
        lambda: _count(facility, lambda row: row["session_id"] is not None) >= wanted,
        "a take was not delivered",
    )
    say(f"{wanted} takes delivered")
    rows = [row for station in facility.stations for row in facility.rows(station)]
    sent = Counter(session.video_sha256 for session in facility.sandbox.book.sessions)
    cut = Counter(str(row["clip_sha256"]) for row in rows)
    if sent != cut or len(rows) != wanted or max(sent.values()) > 1:
        raise _failed(facility, f"the API has {sum(sent.values())} sessions of {len(rows)} clips")
    codes = Counter(str(row["clip_code"]) for row in rows)
    _until(
        facility,
        lambda: set(_events(facility)) >= set(codes),
        "an event did not arrive at the hub",
    )
    if _events(facility) != codes:
        raise _failed(facility, "an event is doubled at the hub")
    say("every take once at the API, and once in the events of the hub")
    by_workers = sum(
        _read(place.log).count("findings received") for place in facility.stations.values()
    )
    return FacilityResult(
        takes=wanted,
        stations=len(facility.stations),
        by_workers=by_workers,
        page=f"http://{facility.page}",
        folder=facility.folder,
    )


def _count(facility: _Facility, is_counted: Callable[[Row], bool]) -> int:
    return sum(is_counted(row) for station in facility.stations for row in facility.rows(station))


def _events(facility: _Facility) -> Counter[str]:
    """Return how often the delivery of each clip is in the hub's stream; empty without broker."""
    found: Counter[str] = Counter()
    connection = _connection(facility)
    try:
        connection.open()
        state = json.loads(connection.ask(f"$JS.API.STREAM.INFO.{EVENTS_STREAM}"))["state"]
        for sequence in range(state["first_seq"], state["last_seq"] + 1):
            asked = json.dumps({"seq": sequence}).encode()
            kept = connection.stored(f"$JS.API.DIRECT.GET.{EVENTS_STREAM}", asked)
            if kept is not None and kept.subject.endswith(_DELIVERED):
                found[str(json.loads(kept.body)["clip_code"])] += 1
    except (NotifyError, KeyError):
        return Counter()
    finally:
        connection.close()
    return found


def _connection(facility: _Facility) -> HubConnection:
    return HubConnection(hub_access(facility.listen, facility.hub, facility.hub.key()))


def _can_connect(facility: _Facility) -> bool:
    if not facility.hub.certificate[0].exists():
        return False
    connection = _connection(facility)
    try:
        connection.open()
    except NotifyError:
        return False
    finally:
        connection.close()
    return True


def _all_assigned(facility: _Facility) -> bool:
    stations = json.loads(_told(facility, ["hub", "stations", "--json"], facility.config))
    plans = [(one.get("told") or {}).get("plan") or {} for one in stations]
    return all(plan.get("state") == "applied" for plan in plans)


def _in_hand(facility: _Facility) -> bool:
    return any(
        next((facility.folder / name / "tmp").glob("capture.*"), None) is not None
        for name in facility.workers
    )


def _broker_of(facility: _Facility) -> int:
    """Return the process of the nats-server that the hub has started."""
    for children in Path(f"/proc/{facility.processes[0].pid}/task").glob("*/children"):
        for pid in children.read_text("ascii").split():
            with contextlib.suppress(OSError):
                if Path(f"/proc/{pid}/comm").read_text("ascii").strip() == "nats-server":
                    return int(pid)
    raise _failed(facility, "the hub has no broker")


def _told(facility: _Facility, words: Sequence[str], config: Path, *, told: str = "") -> str:
    done = run_command(words, config, told=told)
    if done.returncode:
        raise _failed(facility, f"spotter {words[0]}: {done.stderr.strip()}")
    return done.stdout


def _until(facility: _Facility, condition: Callable[[], bool], otherwise: str) -> None:
    latest_s = time.monotonic() + _WITHIN_S
    while not condition():
        ended = any(process.poll() is not None for process in facility.processes)
        if ended or time.monotonic() > latest_s:
            raise _failed(facility, "a process has ended" if ended else otherwise)
        time.sleep(_LOOK_EVERY_S)


def _failed(facility: _Facility, what: str) -> AgentError:
    return AgentError(what, hint=f"all files and logs are in {facility.folder}")


def _read(log: Path) -> str:
    return log.read_text("utf-8", "replace") if log.exists() else ""

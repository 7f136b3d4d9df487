"""Analysis by workers: the real hub, nats-server, station and worker, and what must not get by."""

import json
import os
import re
import signal
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from agent import __version__
from agent.clipping.analysis_process import ChildLimits
from agent.clipping.stage import OfferedCapture
from agent.disk.state_folder import StateFolder
from agent.facility import broker
from agent.facility import worker as facility_worker
from agent.facility.broker import BrokerAccess
from agent.facility.joining import access_of
from agent.facility.keys import FacilityKey
from agent.facility.membership import NEXT_WORK, read_membership, read_station_key
from agent.facility.offload import OffloadBoard
from agent.facility.work import (
    MOST_OFFERED,
    PART_BYTES,
    DoneRequest,
    FetchRequest,
    FindingsError,
    Offer,
    OfferedFile,
    packed,
    parts_of,
    request,
    unpacked,
)
from agent.facility.worker import AnalysisWorker
from agent.outbox.models import Capture
from agent.outbox.outbox import Outbox
from agent.stage import StopFlag
from tests.facility import SITE, Hub, answered, can_open, opened, stolen
from tests.factories import admitted
from tests.forked import ForkedCommand
from tests.integration.facility.conftest import MakeStation
from tests.integration.test_joined_recordings import deliver, film_in_two
from tests.station import PATIENCE_S, Station, give, until
from tests.videos import film_run, name_of


class WorkerProcess:
    """One worker of a facility, the real command."""

    def __init__(self, hub: Hub, root: Path, name: str) -> None:
        self.name, self.state, self.log = name, root / name, root / f"{name}.log"
        self._hub = hub
        self._process: ForkedCommand | None = None

    def join(self) -> None:
        """Become a worker of the hub's."""
        told = json.loads(self._hub.spotter("invite", "--worker", self.name, "--json"))
        done = self._command("--join", str(told["link"]))
        assert done.wait(PATIENCE_S) == 0, self.log.read_text()

    def start(self, **environment: str) -> ForkedCommand:
        """Begin to work."""
        self._process = self._command(**environment)
        return self._process

    @contextmanager
    def working(self) -> Iterator[ForkedCommand]:
        """Work meanwhile."""
        process = self.start()
        until(lambda: "worker connected" in self.log.read_text())
        yield process
        process.terminate()
        assert process.wait(15) == 0, self.log.read_text()

    def checked(self) -> dict[str, str]:
        """What it says of itself, by the names of its checks."""
        done = give(["worker", "--state", str(self.state), "--check", "--json"])
        return {one["name"]: one["state"] for one in json.loads(done.stdout)["checks"]}

    def access(self) -> BrokerAccess:
        """What somebody has who took its key."""
        folder = StateFolder(self.state)
        member = read_membership(folder)
        assert member is not None
        return access_of(member, FacilityKey(read_station_key(folder)))

    def _command(self, *words: str, **environment: str) -> ForkedCommand:
        given = ["worker", "--state", str(self.state), *words]
        return ForkedCommand(given, environment={**os.environ, **environment}, log=self.log)


@pytest.fixture
def worker(hub: Hub, tmp_path: Path) -> Callable[[str], WorkerProcess]:
    """Makes a worker that has joined."""

    def make(name: str) -> WorkerProcess:
        made = WorkerProcess(hub, tmp_path, name)
        made.join()
        return made

    return make


def _told_by_hub(hub: Hub, name: str) -> dict[str, object]:
    """What the hub has heard of a worker."""
    (found,) = (o for o in json.loads(hub.spotter("workers", "--json")) if o["worker"] == name)
    told = found["told"] or {"finished": None}
    assert isinstance(told, dict)
    return told


MakeWorker = Callable[[str], WorkerProcess]


def test_a_worker_says_what_keeps_it_from_working(
    hub: Hub, worker: MakeWorker, tmp_path: Path
) -> None:
    nobody = WorkerProcess(hub, tmp_path, "nobody")
    assert nobody.checked() == {"hub": "broken", "service": "broken"}
    removed = worker("removed")
    assert removed.checked()["service"] == "broken"
    hub.spotter("remove", "removed", "--worker")
    until(lambda: removed.checked()["hub"] == "broken")
    assert [
        o for o in json.loads(hub.spotter("workers", "--json")) if o["worker"] == "removed"
    ] == []


def set_analysis(station: Station, **values: object) -> None:
    """Change what the settings say about the analysis."""
    lines = "".join(f"{name} = {json.dumps(value)}\n" for name, value in values.items())
    station.config.write_text(
        station.config.read_text().replace("[analysis]\n", f"[analysis]\n{lines}")
    )


def found_in(station: Station) -> tuple[dict[str, Any], list[bytes]]:
    """What a station knows of its only capture: the report, and the files beside it."""
    with Outbox.open(station.state) as outbox:
        report = json.loads(outbox.takes.report(1) or "{}")
        capture = outbox.captures.by_id(1)
    assert capture is not None
    pictures = StateFolder(station.state).pictures
    beside = sorted(pictures.glob(f"{capture.sha256}*"))
    return report, [path.read_bytes() for path in beside]


def test_a_worker_finds_what_the_station_finds(
    hub: Hub, station: MakeStation, worker: MakeWorker
) -> None:
    helped, alone = station("helped"), station("alone")
    hub.admit(helped)
    set_analysis(helped, offload="always")
    helper = worker("fast-1")
    told = hub.spotter("workers")
    assert "fast-1" in told and "JOINED (" in told.splitlines()[0] and "Z\n" not in told
    with helped.running(), helper.working():
        until(lambda: "workers connected" in helped.log.read_text())
        film_run(helped.capture / "run.mp4", seconds=4)
        until(lambda: helped.entries())
        until(lambda: _told_by_hub(hub, "fast-1")["finished"] == 1)
        assert helper.checked() == {"hub": "fine", "service": "fine", "disk space": "fine"}
        assert "1 worker, 0 at work, 0 away" in hub.status(code=0)
    with alone.running():
        film_run(alone.capture / "run.mp4", seconds=4)
        until(lambda: alone.entries())
    assert "findings received" in helped.log.read_text()
    assert 'event="job finished"' in helper.log.read_text()
    (report, beside), (expected, files) = found_in(helped), found_in(alone)
    assert report.pop("cost") and expected.pop("cost")
    assert report == expected and report["takes"]
    assert beside[0] == files[0] and len(files) == 2
    drawn, wanted = (re.findall(r"\d+\.?\d*", svg.decode()) for svg in (beside[1], files[1]))
    # A report has its times to the millisecond, and the picture is drawn of it.
    assert [float(one) for one in drawn] == pytest.approx([float(one) for one in wanted], abs=0.4)
    assert not list((helper.state / "tmp").glob("*"))
    assert "sandbox-key" not in helper.log.read_text()


def test_an_effort_over_two_recordings_is_one_clip_where_workers_found_its_parts(
    hub: Hub, station: MakeStation, worker: MakeWorker, tmp_path: Path
) -> None:
    rack, helper = station("joins"), worker("joiner")
    hub.admit(rack)
    set_analysis(rack, offload="always")
    first, second = film_in_two(tmp_path)
    with rack.running(), helper.working():
        until(lambda: "workers connected" in rack.log.read_text())
        deliver(first, rack, filmed_s_ago=4.0)
        deliver(second, rack, filmed_s_ago=0.0)
        until(lambda: len(rack.entries()) == 2 and rack.entries()[0]["state"] == "discarded")
        until(lambda: _told_by_hub(hub, "joiner")["finished"] == 2)
    part, joined = rack.entries()
    assert part["reason"] == "joined"
    assert joined["clip_seconds"] == pytest.approx(7.0, abs=1.1)  # 5 s and padding
    shown = json.loads(rack.spotter("outbox", "show", str(joined["id"]), "--json"))
    assert shown["captures"] == ["c1", "c2"]


def test_a_station_analyses_itself_when_its_worker_is_killed_or_gone(
    hub: Hub, station: MakeStation, worker: MakeWorker
) -> None:
    left, helper = station("left"), worker("mortal")
    hub.admit(left)
    set_analysis(left, offload="always", work_patience_s=5)
    process = helper.start(SPOTTER_CRASH_AT="worker-fetched")
    with left.running():
        until(lambda: "workers connected" in left.log.read_text())
        film_run(left.capture / "run.mp4", seconds=8)
        until(lambda: process.poll() is not None)
        assert process.poll() == -signal.SIGKILL and not left.entries()
        assert list((helper.state / "tmp").glob("capture*"))  # it was in the middle of it
        until(lambda: left.entries())
        assert "the worker is silent" in left.log.read_text()
        hub.spotter("remove", "mortal", "--worker")
        until(lambda: not can_open(helper.access()))
        assert "no worker 'mortal'" in hub.spotter("remove", "mortal", "--worker", code=1)


def test_a_stolen_worker_key_reads_no_state_no_event_and_nobodys_video(
    hub: Hub, station: MakeStation, worker: MakeWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    victim, thief = station("filmed"), worker("thief")
    hub.admit(victim)
    worker("other")  # rights of one are not those of the others
    event, state = f"spotter.{SITE}.filmed.event.take.ready", f"$KV.state.{SITE}.filmed"
    token = "A" * 43
    set_analysis(victim, offload="always")
    with victim.running(), closing(hub.connection()) as all_rights:
        until(lambda: hub.state_of("filmed"))
        until(lambda: "workers connected" in victim.log.read_text())
        asked = [event, state, f"$JS.API.DIRECT.GET.KV_state.{state}", "$JS.API.STREAM.INFO.WORK"]
        asked += [f"$JS.API.DIRECT.GET.EVENTS.{event}", "$JS.API.CONSUMER.CREATE.EVENTS"]
        asked += [f"spotter.{SITE}.work.analyse", f"spotter.{SITE}.work.analyse.filmed"]
        asked += [f"$KV.desired.{SITE}.filmed.plan", f"spotter.{SITE}.join.filmed"]
        for subject in asked:
            with monkeypatch.context() as impatient, closing(opened(thief.access())) as taken:
                impatient.setattr(broker, "ANSWER_WITHIN_S", 0.3)
                assert not answered(taken, subject), subject
        with closing(opened(thief.access())) as taken:
            taken.hear()
            fetch = request(FetchRequest(token=token, file="capture", offset=0))
            assert taken.ask(f"spotter.{SITE}.filmed.fetch", fetch) == b"-the offer has ended"
            for hostile in (b"", b"\xff" * 9, b"[" * 50_000, fetch[:-9], b'{"token": 1}\n'):
                assert taken.ask(f"spotter.{SITE}.filmed.fetch", hostile).startswith(b"-")
                assert taken.ask(f"spotter.{SITE}.filmed.done", hostile).startswith(b"-")
            taken.tell(NEXT_WORK, answer_to=state)  # the broker answers with rights of its own
            all_rights.ask("$JS.API.INFO")
            told = hub.state_of("filmed")
            assert told is not None and told["station"] == "filmed"
            assert taken.all and all(b'"station"' not in body for _, body in taken.all)


# What a worker may send, as the station checks it, without a broker.

REPORT: dict[str, Any] = {
    "video": {
        **{"duration_s": 10.0, "width": 160, "height": 120, "fps": 15.0, "codec": "h264"},
        **{"rotation_deg": 0, "is_mirrored": False, "shown_width": 160, "shown_height": 120},
    },
    "takes": [
        {
            **{"start_s": 1.0, "end_s": 5.0, "active_start_s": 2.0, "active_end_s": 4.0},
            **{"reps": 1, "activity": "running", "looks_like": "running", "confidence": 0.9},
            **{"decisive_s": 3.0, "begins_before": False, "goes_on": False},
            **{"clip": None, "clip_frames": None},
        }
    ],
    "quality": [{"code": "blurred", "severity": "warn", "message": "Clean it.", "at_s": None}],
    "verdict": "upload",
    "curve": {"times_s": [0.0, 1.0], "speed": [0.0, 2.5]},
    "cost": {"wall_s": 1.0, "decoded_frames": 9, "pose_frames": 9},
}
SKELETON = {
    "schema": 1,
    "scale": 2000,
    "bones": [[0, 1]],
    "times_ms": [5],
    "points": [[1, 2, None, None]],
}
OFFER = Offer(
    token="t" * 43,
    version="1",
    generation=3,
    capture=OfferedFile(size=9, sha256="a" * 64, suffix=".mp4"),
    options={},
)


def changed(path: str, value: object) -> dict[str, Any]:
    """Return the report with one value that differs."""
    report = json.loads(json.dumps(REPORT))
    place, *names = report, *path.split(".")
    for name in names[:-1]:
        place = place[int(name)] if name.isdigit() else place[name]
    place[names[-1]] = value
    return dict(report)


def skeleton(**other: object) -> str:
    """Return landmarks of which some differ."""
    return json.dumps({**SKELETON, **other})


def test_honest_findings_are_taken_as_they_are() -> None:
    found = unpacked(packed(OFFER, REPORT, skeleton()), OFFER, duration_s=10.0)
    assert found.report.model_dump(mode="json") == REPORT
    assert json.loads(found.skeleton_text() or "") == SKELETON


@pytest.mark.parametrize(
    "report",
    [
        changed("takes.0.end_s", 11.0),
        changed("takes.0.end_s", float("nan")),
        changed("takes.0.start_s", -3.0),
        changed("takes.0.active_start_s", 4.5),
        changed("takes.0.decisive_s", 9.0),
        changed("takes.0.reps", "many"),
        changed("takes.0.clip", "/etc/passwd"),
        changed("takes.0.activity", "<script>"),
        changed("takes", REPORT["takes"] * 501),
        changed("takes", None),
        changed("quality.0.message", "<img src=x onerror=alert(1)>"),
        changed("quality.0.message", "x" * 1000),
        changed("quality.0.severity", "fatal"),
        changed("quality.0.at_s", 99.0),
        changed("video.duration_s", 20.0),
        changed("video.codec", "h" * 100),
        changed("curve.times_s", [0.0]),
        changed("curve.speed", [0.0] * 5000),
        changed("verdict", "delete"),
        changed("more", 1),
    ],
)
def test_findings_out_of_bounds_are_refused(report: dict[str, Any]) -> None:
    with pytest.raises(FindingsError):
        unpacked(packed(OFFER, report, None), OFFER, duration_s=10.0)


@pytest.mark.parametrize(
    "landmarks",
    [
        {"schema": 2},
        {"scale": 0},
        {"bones": [[0, 2]]},
        {"bones": [[0]]},
        {"times_ms": [10_900]},
        {"times_ms": [5, 5], "points": [[1, 2, 3, 4]] * 2},
        {"times_ms": [5, 6]},
        {"points": [[1, 2, 3]]},
        {"points": [[1, 2, 10**9, 4]]},
        {"points": [["1", 2, 3, 4]]},
        {"more": 1},
    ],
)
def test_landmarks_out_of_bounds_are_refused(landmarks: dict[str, object]) -> None:
    with pytest.raises(FindingsError):
        unpacked(packed(OFFER, REPORT, skeleton(**landmarks)), OFFER, duration_s=10.0)


@pytest.mark.parametrize(
    "content",
    [
        lambda: b"",
        lambda: b"rubbish",
        lambda: zlib.compress(b"[" * 100_000),
        lambda: zlib.compress(b" " * (80 << 20)),  # a small message that unpacks to a large one
        lambda: packed(
            OFFER, REPORT, skeleton(points=[[9999] * 400] * 10_400, times_ms=[*range(10_400)])
        ),
        lambda: packed(OFFER, REPORT, None)[:-8],
        lambda: packed(OFFER.model_copy(update={"generation": 2}), REPORT, None),
        lambda: packed(
            OFFER.model_copy(
                update={"capture": OFFER.capture.model_copy(update={"sha256": "b" * 64})}
            ),
            REPORT,
            None,
        ),
    ],
    ids=["empty", "rubbish", "deep", "bomb", "huge", "torn", "stale", "another"],
)
def test_findings_that_are_damaged_or_anothers_are_refused(content: Callable[[], bytes]) -> None:
    sent = content()
    with pytest.raises(FindingsError):
        unpacked(sent, OFFER, duration_s=10.0)


class Desk:
    """A board with one offered capture, and a clock."""

    def __init__(self, outbox: Outbox, root: Path, **settings: Any) -> None:
        self.now_s, self.woken = 1000.0, 0
        self.board = OffloadBoard(
            settings.get("when", "always"),
            patience_s=10.0,
            wake_clipping=self._wake,
            wake_serving=lambda: None,
            monotonic=lambda: self.now_s,
        )
        self.outbox, self.path = outbox, root / "capture.mp4"
        self.path.write_bytes(bytes(range(256)) * 1000)
        self.board.note_connected(True)
        self.capture = self.offer(1)

    def _wake(self) -> None:
        self.woken += 1

    def offer(self, number: int) -> Capture:
        """Offer a capture."""
        capture = admitted(self.outbox, number)
        offered = OfferedCapture(capture=capture, path=self.path, duration_s=10.0, options={})
        assert self.board.offer(offered)
        return capture

    @property
    def made(self) -> Offer:
        """The first offer, as the queue gets it."""
        return self.board.unsent()[0].offer

    def deliver(self, offer: Offer, content: bytes) -> bytes:
        """Send findings as a worker does; return the last answer."""
        answer, parts = b"", parts_of(content)
        for number, part in enumerate(parts):
            head = DoneRequest(token=offer.token, part=number, parts=len(parts))
            answer = self.board.done(request(head, part))
        return answer

    def claimed(self) -> Capture:
        """The capture as the clipping stage has it when it claims it again."""
        return replace(self.capture, fence=self.capture.fence + 1)

    def overdue(self) -> int:
        """How many are out, after those that are overdue were taken back."""
        return self.board.end_overdue(self.outbox.captures.by_id)


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    with Outbox.open(tmp_path) as outbox:
        yield Desk(outbox, tmp_path)


def test_a_result_counts_once_and_only_for_the_capture_as_it_was(desk: Desk) -> None:
    offer = desk.made
    assert desk.deliver(offer, packed(offer, REPORT, skeleton())) == b"+"
    assert desk.woken == 2 and desk.board.out() == set()  # one for the connection
    assert desk.deliver(offer, packed(offer, REPORT, None)) == b"-the offer has ended"
    changed_since = replace(desk.capture, fence=desk.capture.fence + 2)
    assert desk.board.result(changed_since) is None
    assert desk.board.result(desk.claimed()) is None  # it is gone with the first look
    desk.now_s += 1
    again = desk.made if desk.board.unsent() else None
    assert again is None


def test_a_result_in_time_is_handed_over(desk: Desk) -> None:
    offer = desk.made
    desk.deliver(offer, packed(offer, REPORT, skeleton()))
    found = desk.board.result(desk.claimed())
    assert found is not None and found.report == REPORT and json.loads(found.skeleton or "")


def test_forged_and_oversized_findings_end_the_offer(desk: Desk) -> None:
    offer = desk.made
    for part in range(2, 4):  # not in order
        head = DoneRequest(token=offer.token, part=part, parts=9)
        assert desk.board.done(request(head, b"x")).startswith(b"-")
    huge, answers = bytes(PART_BYTES), []
    for part in range(60):
        head = DoneRequest(token=offer.token, part=part % 52, parts=52)
        answers.append(desk.board.done(request(head, huge)))
    assert any(answer.startswith(b"-findings are too large") for answer in answers)
    assert desk.deliver(offer, b"forged").startswith(b"-they cannot be unpacked")
    assert desk.board.out() == set() and desk.board.choose([desk.capture.id]) is None
    assert desk.board.result(desk.claimed()) is None


def test_a_token_opens_one_capture_in_parts_while_the_offer_holds(desk: Desk) -> None:
    offer, content = desk.made, desk.path.read_bytes()

    def fetch(offset: int, *, token: str = offer.token, file: str = "capture") -> bytes:
        told = json.dumps({"token": token, "file": file, "offset": offset}).encode()
        return desk.board.fetch(told)

    assert fetch(0) + fetch(PART_BYTES)[1:] == b"+" + content
    assert fetch(len(content)) == b"+" and fetch(-1).startswith(b"-")
    assert fetch(0, token="B" * 43) == b"-the offer has ended"
    assert fetch(0, file="reference").startswith(b"-")
    assert fetch(0, file="../outbox.db").startswith(b"-")
    desk.now_s += 9
    assert desk.overdue() == 1 and fetch(0).startswith(b"+")  # a sign of the worker
    desk.now_s += 9
    assert desk.overdue() == 1
    desk.now_s += 2
    assert desk.overdue() == 0 and fetch(0) == b"-the offer has ended"


def test_a_capture_that_a_person_decided_on_is_no_longer_given_away(desk: Desk) -> None:
    offer = desk.made
    assert desk.overdue() == 1
    assert desk.outbox.captures.claim_next(desk.now_s) is not None
    assert desk.overdue() == 0
    asked = request(FetchRequest(token=offer.token, file="capture", offset=0))
    assert desk.board.fetch(asked) == b"-the offer has ended"


def test_only_what_waits_behind_is_offered_and_an_idle_station_takes_it_back(
    tmp_path: Path,
) -> None:
    with Outbox.open(tmp_path) as outbox:
        desk = Desk(outbox, tmp_path, when="when_behind")
        assert desk.board.choose([7]) is None and desk.board.choose([7, 8, 9]) == 8
        assert desk.board.take_back() and not desk.board.take_back()
        assert desk.board.choose([7, desk.capture.id]) is None  # this station does it now
        assert desk.board.room() == MOST_OFFERED
        for number in range(2, 2 + MOST_OFFERED):
            desk.offer(number)
        assert desk.board.room() == 0
        desk.board.note_connected(False)
        desk.now_s += 11
        assert desk.overdue() == 0 and desk.board.room() == 0
        desk.board.note_connected(True)
        assert desk.board.room() == 0  # nobody took one: not again for a while
        desk.now_s += 60
        assert desk.board.room() == MOST_OFFERED


class SleepingChild:
    """Stands for the model, which takes a moment; everything around it is real."""

    def __init__(self, check: Callable[[], None], *, takes_s: float) -> None:
        self._check, self._takes_s = check, takes_s

    def ask(self, _operation: str, **_fields: object) -> dict[str, Any]:
        """Return a report after a while."""
        until_s = time.monotonic() + self._takes_s
        while time.monotonic() < until_s:
            self._check()
            time.sleep(0.05)
        report = changed("video.duration_s", 1.6)
        moments = {"start_s": 0.2, "end_s": 1.5, "active_start_s": 0.4, "active_end_s": 1.2}
        report["takes"][0] |= {**moments, "decisive_s": 0.8}
        return report

    def close(self) -> None:
        """There is nothing to end."""


@contextmanager
def sleeping_workers(made: list[WorkerProcess], *, takes_s: float) -> Iterator[None]:
    """Let workers work in threads of this process, without the model."""
    stop, threads = StopFlag(), []
    for one in made:
        folder = StateFolder(one.state)
        member = read_membership(folder)
        assert member is not None
        running = AnalysisWorker(folder, member, limits=ChildLimits(), stop=stop)
        running._child = SleepingChild(running._check, takes_s=takes_s)  # type: ignore[assignment]  # the model alone
        threads.append(threading.Thread(target=running.run))
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join(30)


def test_a_worker_leaves_a_station_that_would_keep_it_for_ever(
    hub: Hub, station: MakeStation, worker: MakeWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    thief = station("slow")
    hub.admit(thief)
    offer = OFFER.model_copy(
        update={"version": __version__, "capture": OFFER.capture.model_copy(update={"size": 10**8})}
    )
    asked: list[bytes] = []

    def answer(content: bytes) -> bytes:
        asked.append(content)
        return b"+" + parts.pop(0)

    with (
        sleeping_workers([worker("patient")], takes_s=0),
        closing(hub.connection()) as all_rights,
        closing(stolen(thief)) as slow,
    ):
        slow.answer(f"spotter.{SITE}.slow.fetch", answer)

        def is_over() -> bool:
            slow.serve(0.1)
            told = json.loads(all_rights.ask("$JS.API.STREAM.INFO.WORK"))
            return bool(told["state"]["messages"] == 0)

        parts = [b"x"] * 100  # a byte each time
        slow.publish(f"spotter.{SITE}.work.analyse", offer.model_dump_json().encode())
        until(is_over)
        assert len(asked) == 1
        monkeypatch.setattr(facility_worker, "LONGEST_JOB_S", 0.0)
        parts = [bytes(PART_BYTES)] * 100
        slow.publish(f"spotter.{SITE}.work.analyse", offer.model_dump_json().encode())
        until(is_over)
        assert len(asked) == 2


@pytest.mark.soak
def test_twice_the_workers_do_almost_twice_the_work(
    hub: Hub, station: MakeStation, worker: MakeWorker
) -> None:
    stations = [station(f"busy-{number}") for number in range(4)]
    workers = [worker(f"sleeper-{number}") for number in range(4)]
    for one in stations:
        hub.admit(one)
        set_analysis(one, offload="always", work_patience_s=600)
    took_s: dict[int, float] = {}
    seed = 0

    def received() -> int:
        return sum(one.log.read_text().count("findings received") for one in stations)

    with ExitStack() as running:
        for one in stations:
            running.enter_context(one.running())
        until(lambda: all("workers connected" in one.log.read_text() for one in stations))
        for count in (1, 2, 4):
            before = received()
            with sleeping_workers(workers[:count], takes_s=5.0):
                began_s = time.monotonic()
                for _ in range(4):
                    for one in stations:
                        seed += 1
                        film_run(one.capture / name_of(seed), seed=seed)
                until(lambda goal=before + 16: received() >= goal)
                took_s[count] = time.monotonic() - began_s
    assert took_s[1] / took_s[2] >= 1.8, took_s
    assert took_s[1] / took_s[4] >= 3.4, took_s


@pytest.mark.soak
@pytest.mark.parametrize("by", [signal.SIGKILL, signal.SIGTERM])
def test_another_worker_goes_on_where_one_was_ended(
    hub: Hub, station: MakeStation, worker: MakeWorker, by: signal.Signals
) -> None:
    helped, first, second = station(f"twice-{by}"), worker("first"), worker("second")
    hub.admit(helped)
    set_analysis(helped, offload="always", work_patience_s=120)
    process = first.start()
    with helped.running():
        until(lambda: "workers connected" in helped.log.read_text())
        film_run(helped.capture / "run.mp4", seconds=12)
        until(lambda: list((first.state / "tmp").glob("capture*")))
        process.send_signal(by)
        assert process.wait(10) == (0 if by is signal.SIGTERM else -signal.SIGKILL)
        with second.working():
            until(lambda: helped.entries())
        assert "job finished" in second.log.read_text()
        assert "offer revoked" not in helped.log.read_text()

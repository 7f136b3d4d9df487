"""The analysis stage, in this process, where the child's answers are not what it expects."""

import socket
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

import pytest

from agent.camera_link import RecorderReport, RecorderState, as_line
from agent.clipping.analysis_process import AnalysisProcess, ChildLimits
from agent.clipping.entries import ClippingPolicy
from agent.clipping.stage import (
    AnalysisElsewhere,
    ClippingNeighbours,
    ClippingStage,
    OfferedCapture,
)
from agent.clock import read_clock
from agent.disk.space import DiskSpace
from agent.disk.state_folder import StateFolder
from agent.errors import AnalysisError, AnalysisFault
from agent.outbox.models import ClipTarget
from agent.outbox.outbox import Outbox
from agent.outbox.states import CaptureState, Reason, Recipient
from agent.stage import WAKE_ONLY, ignore_wake
from agent.station.recording_pause import stop_filming
from tests.factories import admitted, instant
from tests.station import Station, child_of, until


class StrangeChild(AnalysisProcess):
    """One that answers something else than ours does."""

    def ask(self, operation: str, **fields: object) -> Mapping[str, object]:  # noqa: ARG002  # any
        return {}


def test_a_capture_that_nobody_foresaw_is_set_aside_and_the_next_has_its_turn(
    tmp_path: Path,
) -> None:
    folder = StateFolder(tmp_path)
    folder.prepare()
    limits = ChildLimits()
    with Outbox.open(tmp_path) as outbox:
        strange, next_one = admitted(outbox, 1), admitted(outbox, 2)
        stage = ClippingStage(
            outbox,
            folder,
            StrangeChild(limits=limits, check=lambda: None),
            ClippingNeighbours(DiskSpace(tmp_path, min_free_mb=0), wake_next=ignore_wake),
            policy=ClippingPolicy(
                station=ClipTarget(recipient=Recipient.UNKNOWN, user_id=None, activity="running")
            ),
            now=read_clock,
        )
        assert [stage.step(), stage.step(), stage.step()] == [0.0, 0.0, WAKE_ONLY]

        for capture in (strange, next_one):
            found = outbox.captures.by_id(capture.id)
            assert found is not None and found.state is CaptureState.QUARANTINED
            assert (found.reason, found.detail) == (
                "internal",
                "unexpected error in Spotter: 'duration_s'; report it: spotter support",
            )


def test_the_child_is_warm_before_a_closed_capture_has_settled(tmp_path: Path) -> None:
    station = Station(tmp_path, "http://127.0.0.1:9", {"capture": {"settle_s": 60.0}})
    with station.running() as daemon:
        assert child_of(daemon.pid) is None
        (station.capture / "run.mp4").write_bytes(b"filmed")
        until(lambda: child_of(daemon.pid) is not None)
        assert station.rows() == []


def test_the_child_is_warm_while_something_moves_before_a_recorders_camera(tmp_path: Path) -> None:
    station = Station(tmp_path, "http://127.0.0.1:9")
    with station.running() as daemon, socket.socket(socket.AF_UNIX) as recorder:
        until(lambda: (station.state / "recorder.sock").exists())
        recorder.connect(str(station.state / "recorder.sock"))
        told = RecorderReport(camera="main", state=RecorderState.RECORDING, since_s=0.0)

        def is_warm(*, moved: bool) -> bool:
            recorder.sendall(as_line({"report": replace(told, moved=moved).message()}))
            return child_of(daemon.pid) is not None

        until(lambda: is_warm(moved=True))
        until(lambda: not is_warm(moved=False))


def test_a_child_that_was_warmed_for_nothing_is_ended(tmp_path: Path) -> None:
    folder = StateFolder(tmp_path)
    folder.prepare()
    expected = [True, True, False]
    child = AnalysisProcess(limits=ChildLimits(), check=lambda: None)
    with Outbox.open(tmp_path) as outbox:
        stage = ClippingStage(
            outbox,
            folder,
            child,
            ClippingNeighbours(
                DiskSpace(tmp_path, min_free_mb=0),
                wake_next=ignore_wake,
                is_expected=lambda: expected.pop(0),
            ),
            policy=ClippingPolicy(
                station=ClipTarget(recipient=Recipient.UNKNOWN, user_id=None, activity="running")
            ),
            now=read_clock,
        )
        assert stage.step() < WAKE_ONLY
        warmed = child.process_id
        assert warmed is not None
        assert stage.step() < WAKE_ONLY and child.process_id == warmed
        assert stage.step() == WAKE_ONLY and child.process_id is None


class FailsAtFirst(AnalysisProcess):
    """One that dies once over a file, and then says what it is."""

    def __init__(self, limits: ChildLimits) -> None:
        super().__init__(limits=limits, check=lambda: None)
        self.asked: list[str] = []

    def ask(self, operation: str, **fields: object) -> Mapping[str, object]:  # noqa: ARG002  # as above
        self.asked.append(operation)
        if len(self.asked) == 1:
            raise AnalysisError("it died", fault=AnalysisFault.CRASHED)
        return {"duration_s": 5.0, "packets": 150}

    def self_test_passes(self) -> bool:
        return True


@pytest.mark.parametrize("policy", ["hold", "upload_whole"])
def test_what_may_be_of_a_stop_is_not_kept_whole_because_its_first_probe_failed(
    tmp_path: Path, policy: Literal["hold", "upload_whole"]
) -> None:
    folder = StateFolder(tmp_path)
    folder.prepare()
    with Outbox.open(tmp_path) as outbox:
        stop_filming(outbox, now=instant(-60), set_by="test")
        capture = admitted(outbox)
        (folder.captures / capture.stored_name).write_bytes(bytes(1000))
        child = FailsAtFirst(ChildLimits())
        stage = ClippingStage(
            outbox,
            folder,
            child,
            ClippingNeighbours(DiskSpace(tmp_path, min_free_mb=0), wake_next=ignore_wake),
            policy=ClippingPolicy(
                station=ClipTarget(recipient=Recipient.UNKNOWN, user_id=None, activity="running"),
                on_failure=policy,
            ),
            now=lambda: instant(60),
        )

        stage.step()

        found = outbox.captures.by_id(capture.id)
        assert found is not None and child.asked == ["probe", "probe"]
        assert (found.state, found.reason) == (
            CaptureState.QUARANTINED,
            Reason.FILMING_MAY_BE_STOPPED,
        )
        assert outbox.entries.of_capture(capture.id) == []


class Probes(AnalysisProcess):
    """One that says how long a file is, and analyses none."""

    def ask(self, operation: str, **fields: object) -> Mapping[str, object]:  # noqa: ARG002  # as above
        assert operation == "probe"
        return {"duration_s": 5.0, "packets": 150}


class TakesAll(AnalysisElsewhere):
    """Machines that take any capture; the first is admitted while the stage asks for one."""

    def __init__(self, outbox: Outbox) -> None:
        self._outbox = outbox
        self.offered: list[int] = []

    def out(self) -> set[int]:
        return set(self.offered)

    def room(self) -> int:
        return 1

    def choose(self, waiting: Sequence[int]) -> int | None:
        if not waiting and not self.offered:
            admitted(self._outbox, 1)
        return waiting[0] if waiting else None

    def offer(self, offered: OfferedCapture) -> bool:
        self.offered.append(offered.capture.id)
        return True


def test_a_capture_admitted_while_one_is_chosen_is_offered_like_any_other(tmp_path: Path) -> None:
    folder = StateFolder(tmp_path)
    folder.prepare()
    with Outbox.open(tmp_path) as outbox:
        elsewhere = TakesAll(outbox)
        stage = ClippingStage(
            outbox,
            folder,
            Probes(limits=ChildLimits(), check=lambda: None),
            ClippingNeighbours(
                DiskSpace(tmp_path, min_free_mb=0), wake_next=ignore_wake, elsewhere=elsewhere
            ),
            policy=ClippingPolicy(
                station=ClipTarget(recipient=Recipient.UNKNOWN, user_id=None, activity="running")
            ),
            now=read_clock,
        )

        stage.step()

        assert len(elsewhere.offered) == 1

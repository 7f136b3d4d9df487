"""The analysis stage, in this process, where the child's answers are not what it expects."""

from collections.abc import Mapping
from pathlib import Path

from agent.clipping.analysis_process import AnalysisProcess, ChildLimits
from agent.clipping.entries import ClippingPolicy
from agent.clipping.stage import ClippingNeighbours, ClippingStage
from agent.clock import read_clock
from agent.disk.space import DiskSpace
from agent.disk.state_folder import StateFolder
from agent.outbox.models import ClipTarget
from agent.outbox.outbox import Outbox
from agent.outbox.states import CaptureState, Recipient
from agent.stage import WAKE_ONLY, ignore_wake
from tests.factories import admitted


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
            assert (found.reason, found.detail) == ("internal", "KeyError: 'duration_s'")

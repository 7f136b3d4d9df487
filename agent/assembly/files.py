"""Putting together what takes files in and clears them away, as the settings say."""

from agent.clock import read_clock
from agent.daemon.loop import Bells
from agent.delivery.retention import Retention, RetentionPolicy
from agent.intake.admit import Admission
from agent.intake.capture import Intake
from agent.intake.door import Door
from agent.intake.settle import Settler
from agent.intake.take import TakeFinder
from agent.intake.watch import CaptureFolder
from agent.outbox.disk.folders import StateFolder
from agent.outbox.disk.mounts import Mounts
from agent.outbox.disk.reserve import Reserve
from agent.outbox.disk.space import Space
from agent.outbox.store import Outbox
from agent.outbox.waiting import Waiting
from agent.settings import Settings
from agent.stage import Wake


def intake_stage(
    settings: Settings,
    folder: StateFolder,
    outbox: Outbox,
    bells: Bells,
    captures: CaptureFolder,
    space: Space,
) -> Intake:
    """Return the stage that takes captures in."""
    capture = settings.capture
    return Intake(
        captures,
        Settler(settle_s=capture.settle_s, settle_unseen_s=capture.settle_unseen_s),
        Admission(outbox, folder, now=read_clock, capture=settings.paths.capture),
        Door(
            space,
            Waiting(outbox.pauses, Intake.name, now=read_clock),
            folder,
            settings.paths.capture,
            mounts=Mounts(settings.disk.mounts),
        ),
        rescan_s=capture.rescan_s,
        now=read_clock,
        wake_next=bells.ringer(TakeFinder.name),
    )


def retention_stage(
    settings: Settings,
    folder: StateFolder,
    outbox: Outbox,
    bells: Bells,
    space: Space,
    reserve: Reserve,
) -> Retention:
    """Return the stage that clears away."""
    capture = settings.capture
    return Retention(
        outbox,
        folder,
        space,
        policy=RetentionPolicy(
            originals=capture.originals,
            archive=capture.archive_dir,
            keep_originals_h=capture.keep_originals_h,
            keep_skipped_days=capture.keep_skipped_days,
            keep_clips_days=capture.keep_clips_days,
            keep_results_days=settings.results.keep_days,
        ),
        now=read_clock,
        keep_reserve=lambda: reserve.top_up(outbox.database),
        wake_next=_both(bells.ringer(Intake.name), bells.ringer(TakeFinder.name)),
    )


def _both(first: Wake, second: Wake) -> Wake:
    def wake() -> None:
        first()
        second()

    return wake

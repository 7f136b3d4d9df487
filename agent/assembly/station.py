"""Putting the parts of a station together, as its settings say."""

from collections.abc import Callable

from agent.api.client import ApiClient
from agent.assembly.attendance import ATTENDING, attending_stages
from agent.assembly.delivery import DELIVERING, delivery_stages
from agent.assembly.files import intake_stage, retention_stage
from agent.assembly.notices import NOTICES, begin_channels, notice_stages
from agent.assembly.page import page_stages
from agent.clock import read_clock
from agent.daemon.loop import Bells, Daemon, Watching
from agent.delivery.lane import Lane
from agent.delivery.retention import Retention
from agent.intake.admit import Admission, names_on_the_way
from agent.intake.capture import Intake
from agent.intake.child import AnalysisChild, ChildLimits
from agent.intake.enter import TakePolicy
from agent.intake.options import look_options
from agent.intake.take import TakeFinder
from agent.intake.watch import ARRIVES_WITHIN_S, CaptureFolder
from agent.outbox.disk.folders import StateFolder
from agent.outbox.disk.reserve import Reserve
from agent.outbox.disk.space import Space
from agent.outbox.repair.start import Repair
from agent.outbox.store import Outbox
from agent.settings import Settings
from agent.stage import Stage, StageName, StopFlag
from agent.station.assigning import record_default
from agent.station.of_settings import (
    api_host,
    station_default,
)

_STAGES = (
    *(Intake.name, TakeFinder.name, *DELIVERING, Retention.name),
    *(*ATTENDING, *NOTICES, StageName.PAGE),
)


def prepare_outbox(outbox: Outbox, folder: StateFolder, settings: Settings) -> None:
    """Go on from wherever the last run was cut off."""
    now = read_clock()
    outbox.assignments.note_boot(now.boot_id)
    outbox.pauses.forget()
    begin_channels(outbox, settings)
    record_default(outbox, station_default(settings), now=now)
    outbox.resume_interrupted(now_s=now.utc_s)
    Admission(outbox, folder, now=read_clock, capture=settings.paths.capture).resume()
    Repair(outbox, folder, now=read_clock).run()


def assemble_daemon(
    settings: Settings,
    folder: StateFolder,
    outbox: Outbox,
    client: ApiClient,
    *,
    stop: StopFlag,
    reserve: Reserve,
    watching: Watching,
) -> Daemon:
    """Return the daemon that does what the settings say."""
    bells = Bells(_STAGES)
    captures = CaptureFolder(
        settings.paths.capture,
        suffixes=frozenset(settings.capture.suffixes),
        now=read_clock,
        on_hint=bells.ringer(Intake.name),
    )
    captures.watch()  # whoever hears that the station runs may film from that moment on
    pulses = watching.pulses
    wish = bells.ringer(Retention.name)
    space = Space(folder.root, min_free_mb=settings.disk.min_free_mb, on_wish=wish)
    stages: list[Stage] = [
        intake_stage(settings, folder, outbox, bells, captures, space),
        _analysis(settings, folder, outbox, bells, captures, space, check=stop.check),
        *delivery_stages(settings, folder, outbox, client, bells, space, stop=stop),
        retention_stage(settings, folder, outbox, bells, space, reserve),
        *attending_stages(settings, outbox, client, captures, bells, host=api_host(settings)),
        *notice_stages(settings, outbox, captures, stop=stop),
        *page_stages(settings, folder, outbox, captures, bells=bells, stop=stop, pulses=pulses),
    ]
    return Daemon(
        stages,
        bells=bells,
        stop=stop,
        wake_path=folder.wake_socket,
        on_disk_full=lambda: reserve.release(outbox.database),
        watching=watching,
        without_end={StageName.PAGE},
    )


def _analysis(
    settings: Settings,
    folder: StateFolder,
    outbox: Outbox,
    bells: Bells,
    captures: CaptureFolder,
    space: Space,
    *,
    check: Callable[[], None],
) -> TakeFinder:
    analysis = settings.analysis
    limits = ChildLimits(
        stall_s=analysis.stall_limit_s, memory_bytes=analysis.memory_limit_mb << 20
    )
    return TakeFinder(
        outbox,
        folder,
        AnalysisChild(limits=limits, check=check, model=analysis.model),
        space,
        policy=TakePolicy(
            station=station_default(settings),
            unassigned=settings.station.unassigned,
            send_delay_s=settings.delivery.send_delay_s,
            clock_offset_s=settings.capture.clock_offset_s,
            on_failure=analysis.on_analysis_failure,
            posters=analysis.poster,
            options=look_options(settings),
            cut=settings.cut.model_dump(),
        ),
        now=read_clock,
        wake_next=bells.ringer(Lane.name),
        arriving=lambda: _arriving(captures, outbox, folder),
    )


def _arriving(captures: CaptureFolder, outbox: Outbox, folder: StateFolder) -> list[str]:
    """Return the names of recordings under way; asked in the order in which files travel."""
    since_s = read_clock().utc_s - ARRIVES_WITHIN_S
    names = captures.arriving(since_s=since_s)
    return [*names, *names_on_the_way(outbox, folder, since_s=since_s)]

"""Builds every stage from the station's settings."""

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from zoneinfo import ZoneInfo

from agent.api.client import KEY_HEADERS, ApiClient, ApiKey
from agent.api.documents import Users, fetch_users
from agent.api.downloads import Storage
from agent.api.transfer import Timeouts
from agent.bandwidth_schedule import UplinkShare, parse_timetable
from agent.camera_link import RECORDER_TOKEN, RecorderState
from agent.clipping.analysis_process import AnalysisProcess, ChildLimits, tracking_options
from agent.clipping.entries import ClippingPolicy
from agent.clipping.stage import ClippingNeighbours, ClippingStage
from agent.clock import Clock, read_clock
from agent.daemon.supervisor import Daemon, DaemonHooks, StageEvents
from agent.delivery.circuit_breaker import KeyPolicy
from agent.delivery.session_changes import (
    ResendStage,
    SessionDatesStage,
    SessionDeleter,
    SessionDeletionStage,
)
from agent.delivery.stage import DeliveryEvents, DeliveryPolicy, DeliveryStage
from agent.disk.mounts import Mounts
from agent.disk.space import DiskSpace
from agent.disk.state_folder import StateFolder
from agent.errors import ApiUnavailableError
from agent.facility.membership import membership_path
from agent.facility.offload import OffloadBoard, OffloadStage
from agent.facility.stage import FacilityStage
from agent.facility.state import HubInfluence, StateDocument
from agent.intake.admission import Admission, names_on_the_way
from agent.intake.stability import StabilityTracker
from agent.intake.stage import IntakeGuard, IntakeStage
from agent.intake.watcher import ARRIVES_WITHIN_S, WatchedFolder
from agent.notifications.message import STATION_STATE, StationLook
from agent.notifications.stage import Feed, NotificationStage, receiver_of
from agent.outbox.consistency import ConsistencyCheck
from agent.outbox.disk import Reserve
from agent.outbox.outbox import Outbox
from agent.outbox.pauses import PauseReporter
from agent.results.follow_up import FollowUpPolicy, FollowUpRecorder, FollowUpStage, ResultStore
from agent.results.videos import DownloadPace, VideoFetcher, VideoPolicy, VideoStage
from agent.retention import RetentionEvents, RetentionPolicy, RetentionStage
from agent.retry import Backoff
from agent.secret_files import read_secret
from agent.settings import Settings, read_api_key
from agent.settings.model import EVENTS, channels_of, why_no_key
from agent.stage import Stage, StageName, StopFlag, Wake, ignore_wake
from agent.station.assignments import api_host, record_default, station_default, station_rules
from agent.station.camera import CameraWatch
from agent.station.page_settings import camera_choice
from agent.station.recorders import RecorderBoard, RecorderMemory, RecorderStage
from agent.station.roster import NamedAthlete, RosterStage
from agent.station.stage import StationStage


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What the stages of one daemon share."""

    settings: Settings
    folder: StateFolder
    outbox: Outbox
    client: ApiClient
    captures: WatchedFolder
    board: RecorderBoard
    space: DiskSpace
    share: UplinkShare
    events: StageEvents
    stop: StopFlag
    watching: DaemonHooks

    def reload(self) -> None:
        """Let the daemon read its settings again."""
        self.watching.reload(self.folder.wake_socket)

    def is_filming(self) -> bool:
        """Tell whether a capture is being written; a recorder's is hidden until it is whole."""
        return self.captures.is_growing() or any(
            sight.report.state is RecorderState.RECORDING and not sight.is_silent
            for sight in self.board.sights()
        )


ACCOUNT_STAGES = (
    StationStage.name,
    RosterStage.name,
    ResendStage.name,
    SessionDeletionStage.name,
    SessionDatesStage.name,
)


def account_stages(parts: Parts) -> list[Stage]:
    """Return the stages named in `ACCOUNT_STAGES`."""
    outbox, client, delivery = parts.outbox, parts.client, parts.settings.delivery
    key = key_of_open_lane(parts.settings, outbox)
    deleter = SessionDeleter(client, key=key, now=read_clock)
    backoff = Backoff(base_s=delivery.backoff_base_s, longest_s=delivery.backoff_max_s)

    def fetch() -> tuple[list[NamedAthlete], bool]:
        opened = key()
        if opened is None:
            raise ApiUnavailableError("uploads were paused", reason="closed")
        return named(_fetch(client, opened))

    return [
        StationStage(outbox, parts.folder, still_comes=parts.captures.holds_any, now=read_clock),
        RosterStage(outbox, fetch=fetch, is_open=lambda: key() is not None, now=read_clock),
        ResendStage(
            outbox,
            parts.folder,
            deleter,
            backoff=backoff,
            now=read_clock,
            wake_lane=parts.events.waker(DeliveryStage.name),
        ),
        SessionDeletionStage(outbox, deleter, backoff=backoff, now=read_clock),
        SessionDatesStage(
            outbox,
            client,
            zone=ZoneInfo(delivery.date_zone) if delivery.date_sessions else None,
            key=key,
            backoff=backoff,
            now=read_clock,
        ),
    ]


def key_of_open_lane(settings: Settings, outbox: Outbox) -> Callable[[], ApiKey | None]:
    """Return what gives the key while the lane is open: it answered for a key, in some header."""
    host = api_host(settings)

    def key() -> ApiKey | None:
        lane = outbox.lanes.get(host)
        header = next((form for form in KEY_HEADERS if form == lane.key_header), None)
        if not lane.answers or lane.answered_at is None or header is None:
            return None
        token = read_api_key(settings.api, os.environ)
        return None if token is None else ApiKey(token=token, header=header)

    return key


def fetch_roster(settings: Settings, outbox: Outbox, client: ApiClient) -> Users:
    """Return the account's athletes, whatever the lane's state: a person asks.

    Raises:
        ApiUnavailableError: no answer, or a refusal.
    """
    token = read_api_key(settings.api, os.environ)
    if token is None:
        raise ApiUnavailableError(why_no_key(settings.api, os.environ), reason="no_key")
    remembered = outbox.lanes.get(api_host(settings)).key_header
    forms = sorted(KEY_HEADERS, key=lambda form: form != remembered)
    if settings.api.key_header != "auto":
        forms = [settings.api.key_header]
    for form in forms[:-1]:
        try:
            return _fetch(client, ApiKey(token=token, header=form))
        except ApiUnavailableError as fault:
            if fault.status not in {401, 403}:
                raise
    return _fetch(client, ApiKey(token=token, header=forms[-1]))


def named(users: Users) -> tuple[list[NamedAthlete], bool]:
    """Return the account's athletes as the roster takes them over."""
    return [
        NamedAthlete(user.user_id, user.name, user.lacks) for user in users.users
    ], users.complete


def _fetch(client: ApiClient, key: ApiKey) -> Users:
    return fetch_users(lambda path: client.ask("GET", path, key), now_s=read_clock().utc_s)


_MB = 1_000_000


def video_fetcher(
    settings: Settings,
    outbox: Outbox,
    client: ApiClient,
    *,
    key: Callable[[], ApiKey | None],
    check: Callable[[], None],
) -> VideoFetcher:
    """Return what fetches single videos; what `check` raises ends it."""
    storage = Storage(
        settings.api.base_url,
        now=read_clock,
        timeouts=_timeouts(settings),
        ca_file=settings.api.ca_file,
        check=check,
    )

    def note_link(entry_id: int, link: str) -> None:
        outbox.results.note_link(entry_id, link, now_s=read_clock().utc_s)

    return VideoFetcher(
        storage,
        client,
        key=key,
        note_link=note_link,
        most_bytes=round(settings.results.max_video_mb * _MB),
        now=read_clock,
    )


def video_stage(parts: Parts, *, key: Callable[[], ApiKey | None]) -> VideoStage:
    """Return the stage that brings analysed videos to the station."""
    settings, outbox, results = parts.settings, parts.outbox, parts.settings.results
    pace = DownloadPace(
        parse_timetable(settings.delivery.schedule),
        outbox.entries,
        parts.space,
        gives_way=results.video == "always",
        clock=Clock(wait=parts.stop.wait),
    )
    return VideoStage(
        outbox,
        parts.folder,
        video_fetcher(settings, outbox, parts.client, key=key, check=parts.stop.check),
        pace,
        policy=VideoPolicy(when=results.video, keep_days=results.keep_days),
        now=read_clock,
    )


def _timeouts(settings: Settings) -> Timeouts:
    """Return the limits of every transfer, for any host."""
    return Timeouts(
        connect_s=settings.api.connect_timeout_s,
        min_rate_bytes_s=settings.delivery.min_rate_bytes_s,
    )


def api_client(settings: Settings, *, check: Callable[[], None]) -> ApiClient:
    """Return the way to the API; what `check` raises ends any exchange."""
    return ApiClient(
        settings.api.base_url,
        now=read_clock,
        timeouts=replace(_timeouts(settings), answer_s=settings.api.answer_timeout_s),
        ca_file=settings.api.ca_file,
        origin=settings.api.origin,
        check=check,
    )


DELIVERY_STAGES = (DeliveryStage.name, FollowUpStage.name, VideoStage.name)


def delivery_stages(parts: Parts) -> list[Stage]:
    """Return the stages named in `DELIVERY_STAGES`."""
    settings, outbox, events = parts.settings, parts.outbox, parts.events
    key = key_of_open_lane(settings, outbox)
    return [
        DeliveryStage(
            outbox,
            parts.folder,
            parts.client,
            policy=delivery_policy(settings, parts.share),
            clock=Clock(wait=parts.stop.wait),
            events=DeliveryEvents(
                on_recut=events.waker(ClippingStage.name),
                on_delivered=events.waker(FollowUpStage.name),
            ),
        ),
        follow_up_stage(
            settings,
            parts.folder,
            outbox,
            parts.client,
            parts.space,
            key=key,
            wake_next=events.waker(VideoStage.name),
        ),
        video_stage(parts, key=key),
    ]


def delivery_policy(settings: Settings, share: UplinkShare) -> DeliveryPolicy:
    """Return what the settings say about sending clips."""
    api, delivery = settings.api, settings.delivery
    return DeliveryPolicy(
        host=api_host(settings),
        key=KeyPolicy(
            header=api.key_header,
            role=api.role,
            owner_id=api.owner_id,
            why_no_key=partial(why_no_key, api, os.environ),
            setbacks=Backoff(base_s=delivery.backoff_base_s),
        ),
        read_key=partial(read_api_key, api, os.environ),
        capture_folder=settings.paths.capture,
        timetable=parse_timetable(delivery.schedule),
        share=share,
        backoff=Backoff(base_s=delivery.backoff_base_s, longest_s=delivery.backoff_max_s),
        reconcile_wait_s=delivery.reconcile_wait_s,
        smaller_if_too_large=delivery.smaller_if_too_large,
    )


def follow_up_stage(
    settings: Settings,
    folder: StateFolder,
    outbox: Outbox,
    client: ApiClient,
    space: DiskSpace,
    *,
    key: Callable[[], ApiKey | None],
    wake_next: Wake = ignore_wake,
) -> FollowUpStage:
    """Return the stage that follows sessions, for the daemon or for one request of a person's."""
    results = settings.results
    policy = FollowUpPolicy(
        follow=results.follow,
        first_look_s=results.first_look_s,
        longest_s=results.longest_s,
        give_up_s=results.give_up_days * 86_400,
    )
    store = ResultStore(outbox, folder, space, now=read_clock)
    return FollowUpStage(
        outbox,
        client,
        FollowUpRecorder(outbox, store, policy, now=read_clock, wake_next=wake_next),
        policy=policy,
        key=key,
        now=read_clock,
    )


def intake_stage(parts: Parts) -> IntakeStage:
    """Return the stage that takes captures in."""
    settings, folder, outbox = parts.settings, parts.folder, parts.outbox
    capture = settings.capture
    return IntakeStage(
        parts.captures,
        StabilityTracker(
            settle_s=capture.settle_s,
            settle_unseen_s=capture.settle_unseen_s,
            rescan_s=capture.rescan_s,
        ),
        Admission(outbox, folder, now=read_clock, capture=settings.paths.capture),
        IntakeGuard(
            parts.space,
            PauseReporter(outbox.pauses, IntakeStage.name, now=read_clock),
            folder,
            settings.paths.capture,
            mounts=Mounts(settings.disk.mounts),
        ),
        clock=Clock(),
        wake_next=parts.events.waker(ClippingStage.name),
    )


def retention_stage(parts: Parts, reserve: Reserve) -> RetentionStage:
    """Return the stage that clears away."""
    outbox, events, capture = parts.outbox, parts.events, parts.settings.capture
    return RetentionStage(
        outbox,
        parts.folder,
        parts.space,
        policy=RetentionPolicy(
            originals=capture.originals,
            archive=capture.archive_dir,
            keep_originals_h=capture.keep_originals_h,
            keep_skipped_days=capture.keep_skipped_days,
            keep_clips_days=capture.keep_clips_days,
            keep_results_days=parts.settings.results.keep_days,
        ),
        now=read_clock,
        events=RetentionEvents(
            on_done=lambda: reserve.top_up(outbox.database),
            on_room=_both(events.waker(IntakeStage.name), events.waker(ClippingStage.name)),
        ),
    )


def _both(first: Wake, second: Wake) -> Wake:
    def wake() -> None:
        first()
        second()

    return wake


NOTICES = (StageName.WEBHOOK, StageName.MQTT)


def begin_channels(outbox: Outbox, settings: Settings, folder: StateFolder) -> None:
    """Let the channels be on that are configured: from before anything happens."""
    hub = [FacilityStage.name] if membership_path(folder).exists() else []
    outbox.channels.keep([*channels_of(settings.webhook, settings.mqtt), *hub])


def notice_stages(parts: Parts) -> list[Stage]:
    """Return a stage for every channel that is on."""
    settings = parts.settings
    return [_notice_stage(name, parts) for name in channels_of(settings.webhook, settings.mqtt)]


def _notice_stage(name: str, parts: Parts) -> NotificationStage:
    settings, outbox = parts.settings, parts.outbox
    wanted = settings.webhook.events if name == "webhook" else EVENTS
    look = _look(parts)
    return NotificationStage(
        outbox,
        receiver_of(name, settings, check=parts.stop.check),
        Feed(outbox, name, station=settings.station.id, wanted=wanted),
        look=look.report if STATION_STATE in wanted else None,
        clock=Clock(),
    )


def _look(parts: Parts) -> StationLook:
    settings, outbox = parts.settings, parts.outbox
    return StationLook(
        outbox,
        settings,
        is_filming=parts.is_filming,
        camera=CameraWatch(outbox, settings, parts.captures.written_at, parts.board.sights),
        clock=Clock(),
    )


def facility_stage(parts: Parts) -> FacilityStage:
    """Return the stage of the hub, which sleeps until the station joins a facility."""
    settings, outbox = parts.settings, parts.outbox
    rules = station_rules(settings)
    return FacilityStage(
        outbox,
        parts.folder,
        StateDocument(outbox, settings, _look(parts).report, now=read_clock),
        influence=HubInfluence(rules=rules, share=parts.share, reload=parts.reload),
        clock=Clock(),
        check=parts.stop.check,
    )


class PageStage:
    """Serves the page; what that takes is loaded in its own thread, so that nobody waits for it."""

    name = StageName.PAGE

    def __init__(self, load: Callable[[], Stage]) -> None:
        """Prepare to serve.

        Args:
            load: makes the server.
        """
        self._load = load
        self._server: Stage | None = None

    def step(self) -> float:
        """Serve until the daemon ends, or until the page fails."""
        if self._server is None:
            self._server = self._load()
        return self._server.step()

    def close(self) -> None:
        """Let go of what the server holds, if there was one."""
        if self._server is not None:
            self._server.close()


def page_stages(parts: Parts) -> list[Stage]:
    """Return the stage that serves the page, or none where it is turned off."""
    settings = parts.settings
    if not settings.web.listen:
        return []

    def load() -> Stage:
        # Loading the web server takes half as long as the whole start: it happens in this thread.
        from agent.web.server import DaemonSignals, PageServer

        signs = DaemonSignals(
            is_filming=parts.is_filming,
            wake=parts.events.wake_all,
            stop=parts.stop,
            stuck=parts.watching.heartbeats.stuck,
            refusals=parts.watching.heartbeats.refusals,
            reload=parts.reload,
            written_at=parts.captures.written_at,
            recorders=parts.board.sights,
        )
        return PageServer(settings, parts.outbox, parts.folder, signs=signs, now=read_clock)

    return [PageStage(load)]


_STAGES = (
    *(IntakeStage.name, ClippingStage.name, *DELIVERY_STAGES, RetentionStage.name),
    *(*ACCOUNT_STAGES, *NOTICES, FacilityStage.name, OffloadStage.name),
    *(RecorderStage.name, StageName.PAGE),
)


def prepare_outbox(outbox: Outbox, folder: StateFolder, settings: Settings) -> None:
    """Go on from wherever the last run was cut off."""
    now = read_clock()
    outbox.assignments.note_boot(now.boot_id)
    outbox.pauses.forget()
    begin_channels(outbox, settings, folder)
    record_default(outbox, station_default(settings), now=now)
    outbox.resume_interrupted(now_s=now.utc_s)
    Admission(outbox, folder, now=read_clock, capture=settings.paths.capture).resume()
    ConsistencyCheck(outbox, folder, now=read_clock).run()


def assemble_daemon(
    settings: Settings,
    folder: StateFolder,
    outbox: Outbox,
    client: ApiClient,
    *,
    stop: StopFlag,
    reserve: Reserve,
    watching: DaemonHooks,
) -> Daemon:
    """Return the daemon that does what the settings say."""
    events = StageEvents(_STAGES)
    board = RecorderBoard(
        RecorderMemory(folder),
        now_s=read_clock().utc_s,
        on_moved=events.waker(ClippingStage.name),
    )
    captures = WatchedFolder(
        settings.paths.capture,
        suffixes=frozenset(settings.capture.suffixes),
        now=read_clock,
        on_hint=_both(events.waker(IntakeStage.name), events.waker(ClippingStage.name)),
    )
    captures.watch()  # a camera may film from the moment that the station reports as running
    wake_retention = events.waker(RetentionStage.name)
    space = DiskSpace(folder.root, min_free_mb=settings.disk.min_free_mb, on_request=wake_retention)
    elsewhere = OffloadBoard(
        settings.analysis.offload,
        patience_s=settings.analysis.work_patience_s,
        wake_clipping=events.waker(ClippingStage.name),
        wake_serving=events.waker(OffloadStage.name),
    )
    parts = Parts(
        settings=settings,
        folder=folder,
        outbox=outbox,
        client=client,
        captures=captures,
        board=board,
        space=space,
        share=UplinkShare(),
        events=events,
        stop=stop,
        watching=watching,
    )
    stages: list[Stage] = [
        intake_stage(parts),
        _clipping_stage(parts, elsewhere),
        *delivery_stages(parts),
        retention_stage(parts, reserve),
        *account_stages(parts),
        *notice_stages(parts),
        facility_stage(parts),
        OffloadStage(outbox, folder, elsewhere, check=stop.check),
        RecorderStage(
            outbox,
            board,
            folder.recorder_socket,
            now=read_clock,
            choice=partial(camera_choice, folder),
            token=partial(read_secret, None, None, os.environ, credential=RECORDER_TOKEN),
        ),
        *page_stages(parts),
    ]
    return Daemon(
        stages,
        events=events,
        stop=stop,
        wake_path=folder.wake_socket,
        watching=watching,
        without_end={StageName.PAGE},
    )


def _clipping_stage(parts: Parts, elsewhere: OffloadBoard) -> ClippingStage:
    settings, analysis = parts.settings, parts.settings.analysis
    limits = ChildLimits(
        stall_s=analysis.stall_limit_s, memory_bytes=analysis.memory_limit_mb << 20
    )
    return ClippingStage(
        parts.outbox,
        parts.folder,
        AnalysisProcess(limits=limits, check=parts.stop.check, model=analysis.model),
        ClippingNeighbours(
            space=parts.space,
            wake_next=parts.events.waker(DeliveryStage.name),
            arriving=lambda: _arriving(parts),
            is_expected=lambda: _is_expected(parts),
            elsewhere=elsewhere,
        ),
        policy=ClippingPolicy(
            station=station_default(settings),
            unassigned=settings.station.unassigned,
            send_delay_s=settings.delivery.send_delay_s,
            clock_offset_s=settings.capture.clock_offset_s,
            on_failure=analysis.on_analysis_failure,
            posters=analysis.poster,
            options=tracking_options(settings),
            cut=settings.cut.model_dump(),
        ),
        now=read_clock,
    )


_TAKEN_IN_S = 3.0  # after it has settled: a large one is hashed and perhaps copied


def _arriving(parts: Parts) -> list[str]:
    """Return the names of recordings under way; asked in the order in which files travel."""
    since_s = read_clock().utc_s - ARRIVES_WITHIN_S
    names = parts.captures.arriving(since_s=since_s)
    return [*names, *names_on_the_way(parts.outbox, parts.folder, since_s=since_s)]


def _is_expected(parts: Parts) -> bool:
    """Tell whether a capture is about to be ingested: a recorder ends a file after a take."""
    settle_s = parts.settings.capture.settle_s
    return parts.captures.closed_within(settle_s + _TAKEN_IN_S) or any(
        sight.report.moved and not sight.is_silent for sight in parts.board.sights()
    )

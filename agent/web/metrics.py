"""Prometheus metrics, computed from the outbox at each request.

Labels are states, reasons and outcomes: neither names nor ids of people, nor of files.
"""

from collections.abc import Iterable, Iterator, Sequence

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, SummaryMetricFamily
from prometheus_client.exposition import generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from agent import __version__
from agent.camera_link import RecorderState
from agent.clock import BEGINNING, Instant
from agent.delivery.scheduling import RECENT, measure
from agent.disk.space import DiskSpace
from agent.outbox.outbox import Outbox
from agent.outbox.pauses import PLAN_LIMIT, Pause
from agent.outbox.queries import CostTotals, Counters, Totals
from agent.settings import Settings
from agent.station.camera import CameraState, CameraWatch
from agent.station.recorders import RecorderSight


class Metrics(Collector):
    """Every metric of a station; used by one thread at a time."""

    def __init__(
        self, settings: Settings, outbox: Outbox, camera: CameraWatch, *, host: str
    ) -> None:
        self._settings = settings
        self._camera = camera
        self._outbox = outbox
        self._host = host
        self._tally = Counters(outbox.database)
        self._now = BEGINNING
        self._stuck: tuple[str, ...] = ()
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(self)

    def text(self, *, now: Instant, stuck: Iterable[str]) -> bytes:
        """Return everything in Prometheus' text format.

        Args:
            now: this moment.
            stuck: stages that make no progress.
        """
        self._now, self._stuck = now, tuple(stuck)
        return generate_latest(self._registry)

    def describe(self) -> Iterable[Metric]:
        """Return nothing: what there is shows when it is asked for."""
        return []

    def collect(self) -> Iterator[Metric]:
        """Yield every metric."""
        totals = self._tally.count(now_s=self._now.utc_s)
        station = self._settings.station
        yield _one(
            "spotter_build_info",
            "Version, station and activity.",
            {"version": __version__, "station": station.id, "activity": station.activity},
            1,
        )
        yield _parts(
            "spotter_component_stalled",
            "1: the component makes no progress.",
            "component",
            self._stuck,
        )
        yield from _totals(totals)
        yield from self._states()
        yield from self._line(totals)
        yield from self._disk()
        yield from self._recordings()

    def _recordings(self) -> Iterator[Metric]:
        camera = self._camera.look(self._now)
        family = GaugeMetricFamily(
            "spotter_camera_state", "1: the present state of the camera.", labels=["state"]
        )
        for state in CameraState:
            family.add_metric([state], float(camera.state is state))
        yield family
        yield from _recorders(self._camera.recorders())
        age_s = camera.age_s(self._now.utc_s)
        if age_s is not None:
            name = "spotter_last_recording_age_seconds"
            yield _gauge(name, "Time since a usable recording last grew.", age_s)
        is_open = self._camera.hours(self._now.utc_s).limit_s(self._now.utc_s) is not None
        yield _gauge("spotter_station_open", "1: within the station's hours.", is_open)

    def _states(self) -> Iterator[Metric]:
        counts = self._outbox.listing.counts()
        for kind, name in (("captures", "spotter_captures"), ("entries", "spotter_clips")):
            words = f"{name.removeprefix('spotter_').capitalize()} by state."
            family = GaugeMetricFamily(name, words, labels=["state"])
            for state, number in counts[kind].items():
                family.add_metric([state], number)
            yield family
        sessions = GaugeMetricFamily(
            "spotter_sessions", "Sessions by the state of their analysis.", labels=["state"]
        )
        for state, number in self._outbox.follow_ups.counts().items():
            sessions.add_metric([state], number)
        yield sessions
        yield _pauses(self._outbox.pauses.all())

    def _line(self, totals: Totals) -> Iterator[Metric]:
        backlog = self._outbox.traffic.backlog()
        oldest_at = self._outbox.listing.oldest_waiting_at()
        age_s = 0.0 if oldest_at is None else max(0.0, self._now.utc_s - oldest_at)
        goodput = measure(self._outbox.traffic.sendings(most=RECENT))
        lane = self._outbox.lanes.get(self._host)
        yield _gauge("spotter_backlog_clips", "Clips waiting to be uploaded.", backlog.clips)
        yield _gauge(
            "spotter_backlog_bytes", "Size of the clips waiting to be uploaded.", backlog.size_bytes
        )
        yield _gauge(
            "spotter_backlog_age_seconds", "How long the oldest clip has been waiting.", age_s
        )
        if goodput is not None:
            name = "spotter_goodput_bytes_per_second"
            yield _gauge(name, "Upload throughput, from recent uploads.", goodput.bytes_s)
        yield _gauge(
            "spotter_uploads_enabled", "1: clips may be uploaded.", lane.paused_reason is None
        )
        paused = () if lane.paused_reason is None else (lane.paused_reason,)
        yield _parts("spotter_uploads_paused", "1: why uploads are paused.", "reason", paused)
        limited = self._outbox.limits.limited(lane.uid)
        clips = 0 if limited is None else limited.clips
        if lane.paused_reason == PLAN_LIMIT:
            clips = backlog.clips
        text = "Clips waiting because the plan's session limit is reached."
        yield _gauge("spotter_limited_clips", text, clips)
        if lane.key_expires_at is not None:
            name = "spotter_api_key_expires_timestamp_seconds"
            yield _gauge(name, "When the API key expires.", lane.key_expires_at)
        yield _gauge(
            "spotter_titles_altered",
            "1: the API alters session titles.",
            lane.titles_altered,
        )
        yield from _moments(
            {
                "delivery": self._outbox.listing.last_sent_at(),
                "capture": self._outbox.captures.last_admitted_at(),
                "analysis": totals.last_look_at,
                "api_answer": lane.answered_at,
            }
        )

    def _disk(self) -> Iterator[Metric]:
        root = self._settings.paths.state
        space = DiskSpace(root, min_free_mb=self._settings.disk.min_free_mb)
        room = space.room()
        yield _gauge("spotter_disk_free_bytes", "Free space of the disk.", room.free_bytes)
        yield _gauge("spotter_disk_size_bytes", "Size of the disk.", room.total_bytes)
        yield _gauge(
            "spotter_disk_floor_bytes", "Free space below which intake pauses.", space.floor_bytes()
        )
        there = self._settings.paths.capture.is_dir()
        yield _gauge("spotter_capture_folder_present", "1: the capture folder exists.", there)
        rebuilt = self._outbox.rebuilt()
        if rebuilt is not None:
            name = "spotter_database_rebuilt_timestamp_seconds"
            yield _gauge(name, "When the database was last rebuilt after damage.", rebuilt.at)


def _totals(totals: Totals) -> Iterator[Metric]:
    yield _counter("spotter_captures_admitted", "Captures admitted.", totals.captures)
    yield _counter("spotter_takes_found", "Takes found in captures or added by hand.", totals.takes)
    yield _counter("spotter_clips_created", "Clips created.", totals.clips)
    verdicts = CounterMetricFamily(
        "spotter_verdicts", "Verdicts of the analysis of captures.", labels=["verdict"]
    )
    for word, number in sorted(totals.verdicts.items()):
        verdicts.add_metric([word], number)
    yield verdicts
    labels = ["kind", "outcome"]
    tries = CounterMetricFamily(
        "spotter_attempts", "Uploads and look-ups by outcome.", labels=labels
    )
    sent = CounterMetricFamily(
        "spotter_attempt_bytes", "Bytes sent by these attempts.", labels=labels
    )
    for (kind, outcome), spent in sorted(totals.attempts.items()):
        tries.add_metric([kind, outcome], spent.times)
        sent.add_metric([kind, outcome], spent.size_bytes)
    yield from (tries, sent)
    durations = SummaryMetricFamily(
        "spotter_operation_duration_seconds",
        "Processing time of one capture or clip.",
        labels=["operation"],
    )
    for operation, spent in (("analysis", totals.looks), *_by_kind(totals)):
        durations.add_metric([operation], count_value=spent.times, sum_value=spent.seconds)
    yield durations


def _by_kind(totals: Totals) -> list[tuple[str, CostTotals]]:
    kinds: dict[str, CostTotals] = {}
    for (kind, _), spent in totals.attempts.items():
        together = kinds.setdefault(kind, CostTotals())
        together.times += spent.times
        together.seconds += spent.seconds
    return sorted(kinds.items())


def _pauses(pauses: Iterable[Pause]) -> Metric:
    family = GaugeMetricFamily(
        "spotter_component_paused",
        "1: the component is paused for this reason.",
        labels=["component", "reason"],
    )
    for pause in pauses:
        family.add_metric([pause.part, pause.reason], 1)
    return family


def _moments(moments: dict[str, float | None]) -> Iterator[Metric]:
    family = GaugeMetricFamily(
        "spotter_last_success_timestamp_seconds",
        "When each operation last succeeded.",
        labels=["what"],
    )
    for what, at in moments.items():
        if at is not None:
            family.add_metric([what], at)
    yield family


def _parts(name: str, words: str, label: str, values: Iterable[str]) -> Metric:
    family = GaugeMetricFamily(name, words, labels=[label])
    for value in values:
        family.add_metric([value], 1)
    return family


def _gauge(name: str, words: str, value: float) -> Metric:
    return GaugeMetricFamily(name, words, value=float(value))


def _counter(name: str, words: str, value: float) -> Metric:
    return CounterMetricFamily(name, words, value=float(value))


def _recorders(sights: Sequence[RecorderSight]) -> Iterator[Metric]:
    """Yield what the station's recorders report."""
    states = GaugeMetricFamily(
        "spotter_recorder_state",
        "1: the present state of a recorder; gone: it does not report.",
        labels=["camera", "state"],
    )
    rates = GaugeMetricFamily(
        "spotter_recorder_fps", "Frames a second that the camera sends.", labels=["camera"]
    )
    dropped = CounterMetricFamily(
        "spotter_recorder_dropped_packets",
        "Packets that the disk was too slow for, since the recorder started.",
        labels=["camera"],
    )
    for sight in sights:
        report = sight.report
        state = "gone" if sight.is_silent else str(report.state)
        for one in (*RecorderState, "gone"):
            states.add_metric([report.camera, str(one)], float(str(one) == state))
        rates.add_metric([report.camera], 0.0 if sight.is_silent else report.fps)
        dropped.add_metric([report.camera], report.dropped)
    yield from (states, rates, dropped)


def _one(name: str, words: str, labels: dict[str, str], value: float) -> Metric:
    family = GaugeMetricFamily(name, words, labels=list(labels))
    family.add_metric(list(labels.values()), value)
    return family

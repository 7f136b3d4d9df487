"""Who was on the station at a time, and which athlete a clip belongs to.  Pure.

Two layers of assignments speak: the coach (an athlete, nobody, or "back to the default"), and below
it the station's own default, which is recorded whenever it changes so that editing the settings
never touches the past.  Within a layer a statement holds until the next one.  A clip's athlete is
certain, or the clip is held for a person.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from agent.clock import BEGINNING, Instant, LocalTime
from agent.outbox.assignments import Assignment, AssignmentKind, AssignmentLayer
from agent.outbox.models import ClipTarget, Take
from agent.outbox.outbox import Outbox
from agent.outbox.states import EntryState, Reason, Recipient
from agent.station.recording_time import RecordedBy, RecordingTime, recorded_by_words


class UndecidableError(Exception):
    """Which of two moments came first rests on a clock that was not yet trusted."""


class Chronology:
    """The order of moments, for a station that knows in which order its boots came."""

    def __init__(self, boots: Sequence[str], *, believes: bool = False) -> None:
        self._order = {boot_id: seq for seq, boot_id in enumerate(boots)}
        self._believes = believes  # every clock: good for a guess that a person judges

    def precedes(self, first: Instant, second: Instant) -> bool:
        """Tell whether `first` is before `second`.

        Raises:
            UndecidableError: only an untrusted clock could decide.
        """
        first_boot = self._order.get(first.boot_id or "")
        second_boot = self._order.get(second.boot_id or "")
        if first_boot is None or second_boot is None:
            return self._precedes_by_utc(first, second)
        assert first.boot_s is not None and second.boot_s is not None  # goes with boot_id
        if first_boot == second_boot:
            return first.boot_s < second.boot_s
        if (first.boot_s if first_boot > second_boot else second.boot_s) < 0:
            return self._precedes_by_utc(first, second)  # counted back to before its boot
        return first_boot < second_boot

    def after(self, start: Instant, seconds: float, *, near: Instant) -> Instant:
        """Return the moment so long after another one, to be compared with moments like `near`.

        The box may have been started again meanwhile: with what another boot saw, only UTC
        compares it.
        """
        moment = start.shifted(seconds)
        return moment if start.boot_id == near.boot_id else replace(moment, boot_id=None)

    def has_boot_between(self, first: Instant, second: Instant) -> bool:
        """Tell whether the box was started between the boots of two moments."""
        first_boot = self._order.get(first.boot_id or "")
        second_boot = self._order.get(second.boot_id or "")
        return first_boot is None or second_boot is None or second_boot - first_boot > 1

    def is_over(self, start: Instant, seconds: float, *, by: Instant) -> bool:
        """Tell whether so long a time after one moment was over by a later one.

        Raises:
            UndecidableError: only an untrusted clock could decide.
        """
        if start.boot_id != by.boot_id and by.boot_s is not None and by.boot_s >= seconds:
            return True  # the box has been up for so long since
        return not self.precedes(by, self.after(start, seconds, near=by))

    def latest(self, moments: Iterable[Instant]) -> Instant:
        """Return the last of some moments; what cannot be distinguished goes by its place."""
        found, *others = moments
        for moment in others:
            if self._surely_precedes(found, moment):
                found = moment
        return found

    def in_order(self, said: Iterable[Assignment]) -> list[Assignment]:
        """Return statements by the moment from which they hold.

        Of one moment the later said comes last; so does one whose moment is unknown: people
        speak of the present, and only what runs out is recorded afterwards.
        """
        ordered: list[Assignment] = []
        for statement in said:
            place = len(ordered)
            while place and self._surely_precedes(statement.starts, ordered[place - 1].starts):
                place -= 1
            ordered.insert(place, statement)
        return ordered

    def _surely_precedes(self, first: Instant, second: Instant) -> bool:
        try:
            return self.precedes(first, second)
        except UndecidableError:
            return False

    def _precedes_by_utc(self, first: Instant, second: Instant) -> bool:
        certain = BEGINNING in (first, second) or (first.trusted and second.trusted)
        if not (certain or self._believes):
            raise UndecidableError("the clock could not yet be trusted")
        return first.utc_s < second.utc_s


__all__ = ["NOBODY", "OnStation", "Timeline", "UndecidableError"]


@dataclass(frozen=True, slots=True, kw_only=True)
class OnStation:
    """Who was on the station; `assignment` is None where nobody was said to be."""

    assignment: Assignment | None

    @property
    def user_id(self) -> str | None:
        """The athlete, or None: nobody, or a guest."""
        return None if self.assignment is None else self.assignment.user_id

    @property
    def who(self) -> tuple[str | None, int | None]:
        """What distinguishes people: user_id, and guest; both None for nobody."""
        return (None, None) if self.assignment is None else self.assignment.who


NOBODY = OnStation(assignment=None)


class Timeline:
    """The statements of all layers, as an answer to "who was on the station then?"."""

    def __init__(
        self, assignments: Iterable[Assignment], *, boots: Sequence[str], believes: bool = False
    ) -> None:
        self.order = Chronology(boots, believes=believes)
        self._said, self._boots = tuple(assignments), tuple(boots)
        made = self.order.in_order(self._said)
        self._coach = [a for a in made if a.layer is AssignmentLayer.COACH]
        self._station = [a for a in made if a.layer is AssignmentLayer.STATION]
        camera = [a for a in made if a.layer is AssignmentLayer.CAMERA]
        # A word to film again ends nothing where no stop is left, so no clock must vouch for it.
        has_stops = any(a.kind is AssignmentKind.STOPPED for a in camera)
        self._camera = camera if has_stops else []

    def believing(self) -> "Timeline":
        """Return the same, believing every clock: for guesses that a person judges."""
        return Timeline(self._said, boots=self._boots, believes=True)

    def at(self, moment: Instant) -> OnStation:
        """Return who was on the station at `moment`.

        Raises:
            UndecidableError: only an untrusted clock could decide.
        """
        said = self._last_before(self._coach, moment)
        if said is not None and said.kind is not AssignmentKind.DEFAULT:
            if said.kind is AssignmentKind.NOBODY or self._has_run_out(said, moment):
                return NOBODY
            return OnStation(assignment=said)
        default = self._last_before(self._station, moment)
        if default is None or default.kind is AssignmentKind.NOBODY:
            return NOBODY
        return OnStation(assignment=default)

    def during(self, start: Instant, end: Instant) -> list[OnStation]:
        """Return everybody who was on the station in `[start, end)`, in order of time."""
        edges = self._edges(start, self._coach, self._station)
        return [self.at(moment) for moment in self._moments(start, end, edges)]

    def has_edge_within(self, seconds: float, start: Instant, end: Instant) -> bool:
        """Tell whether the person may change shortly before `start` or shortly after `end`."""
        try:
            around = self.during(start.shifted(-seconds), end.shifted(seconds))
        except UndecidableError:  # as just after a start of the box with an untrusted clock
            return True
        return len({person.who for person in around}) > 1

    def filming_stopped_at(self, moment: Instant) -> Assignment | None:
        """Return the word by which nobody may be filmed at `moment`; None where the camera may.

        Raises:
            UndecidableError: only an untrusted clock could decide.
        """
        said = self._last_before(self._camera, moment)
        if said is None or said.kind is not AssignmentKind.STOPPED:
            return None
        return None if self._has_run_out(said, moment) else said

    def stopped_within(self, start: Instant, end: Instant) -> list[tuple[float, float]]:
        """Return when nobody may be filmed within `[start, end)`, in seconds after its start.

        Raises:
            UndecidableError: only an untrusted clock could decide.
        """
        whole_s = _seconds_between(start, end)
        moments = self._moments(start, end, self._edges(start, self._camera))
        edges = [min(max(0.0, _seconds_between(start, at)), whole_s) for at in moments]
        stretches: list[tuple[float, float]] = []
        for moment, from_s, to_s in zip(moments, edges, [*edges[1:], whole_s], strict=True):
            if self.filming_stopped_at(moment) is None:
                continue
            if stretches and stretches[-1][1] >= from_s:
                from_s = stretches.pop()[0]
            stretches.append((from_s, to_s))
        return stretches

    def _last_before(self, layer: Sequence[Assignment], moment: Instant) -> Assignment | None:
        for said in reversed(layer):
            if not self.order.precedes(moment, said.starts):
                return said
        return None

    def _has_run_out(self, said: Assignment, moment: Instant) -> bool:
        if said.lasts_s is None:
            return False
        return self.order.is_over(said.starts, said.lasts_s, by=moment)

    def _moments(self, start: Instant, end: Instant, edges: Sequence[Instant]) -> list[Instant]:
        """Return a stretch's first moment, and every edge inside it in order of time."""
        inside = [e for e in edges if self.order.precedes(start, e) and self.order.precedes(e, end)]
        return [start, *sorted(inside, key=lambda edge: _seconds_between(start, edge))]

    def _edges(self, start: Instant, *layers: Sequence[Assignment]) -> list[Instant]:
        """Return every moment from a first one on at which the answer may change."""
        edges = []
        for layer in layers:
            before = [said for said in layer if not self.order.precedes(start, said.starts)]
            for said in layer[max(0, len(before) - 1) :]:
                edges.append(said.starts)
                if said.lasts_s is not None and not self._has_run_out(said, start):
                    edges.append(self.order.after(said.starts, said.lasts_s, near=start))
        return edges


def _seconds_between(first: Instant, second: Instant) -> float:
    """Return the seconds between two moments, by what both are known by."""
    if first.boot_id is not None and first.boot_id == second.boot_id:
        assert first.boot_s is not None and second.boot_s is not None  # goes with boot_id
        return second.boot_s - first.boot_s
    return second.utc_s - first.utc_s


_LATEST = 200  # of each layer; the present is among the last words, the past need not be read


def present_of(outbox: Outbox, *, now: Instant) -> Timeline:
    """Return a timeline that shows who is on the station now; of the past it knows no more.

    It believes every clock: somebody has to be shown, and a stop rather lasts too long.
    """
    outbox.assignments.note_boot(now.boot_id)
    said = outbox.assignments.latest(of_each_layer=_LATEST)
    return Timeline(said, boots=outbox.assignments.boots(), believes=True)


NEAR_EDGE_S = 10.0
_UNKNOWN_SINCE_S = 30 * 86400.0  # a file of which nobody knows when was filmed since then

UnassignedPolicy = Literal["hold", "upload", "discard"]


class ClipWarning:
    """What a coach should know of a clip although it is sent."""

    NEAR_CHANGE = "assignment_changed_within_10_s"
    TIME_UNKNOWN = "recording_time_unknown_but_one_athlete_since"
    NO_MASS = "barbell_mass_not_given"
    MAY_BE = "may_be:"  # and whose it may be: a user_id, guest:3, or nobody
    UNFAMILIAR_PACE = "filmed_at_another_pace"


@dataclass(frozen=True, slots=True, kw_only=True)
class AthleteCandidate:
    """Whose a take would be, if it was filmed then."""

    who: tuple[str | None, int | None]  # user_id, and guest; both None for nobody
    by: RecordedBy
    filmed_at: float  # Unix time

    @property
    def key(self) -> str:
        """What names the person: a user_id, guest:3, or nobody."""
        user_id, guest_id = self.who
        return user_id or ("nobody" if guest_id is None else f"guest:{guest_id}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Attribution:
    """Where a new clip begins, and for whom."""

    state: EntryState
    reason: Reason | None
    target: ClipTarget
    filmed_at: float | None  # Unix time of the take's first moment
    remarks: tuple[str, ...] = ()
    candidates: tuple[AthleteCandidate, ...] = ()  # who come into question, the likeliest first

    @property
    def question(self) -> str | None:
        """Say who come into question; None where nobody asks."""
        if not self.candidates:
            return None
        if self.reason is Reason.TWO_ATHLETES:  # one moment, in which both were there in turn
            return ", then ".join(candidate.key for candidate in self.candidates)
        candidates = [
            f"{candidate.key}, if it was filmed at {LocalTime(0).full(candidate.filmed_at)}, as "
            f"{recorded_by_words(candidate.by)} says"
            for candidate in self.candidates
        ]
        return "; or ".join(candidates)


def decide_attribution(
    take: Take,
    recorded: RecordingTime,
    timeline: Timeline,
    *,
    station: ClipTarget,
    unassigned: UnassignedPolicy,
) -> Attribution:
    """Resolve, once, whose clip a take is.

    Args:
        take: the take; it asks for its own `[active_start, active_end)`, not its capture's.
        recorded: when the capture was filmed.
        timeline: who was on the station when.
        station: what is filmed here where nobody is assigned.
        unassigned: what the station is set to do with clips of nobody.
    """
    if not recorded.is_known:
        return _decide_unknown(take, recorded, timeline, station)
    found = [
        _decide_at(take, reading, timeline, station)
        or _unassigned(unassigned, station, reading.at(take.active_start_s))
        for reading in recorded.readings
    ]
    first, start = found[0], recorded.at(take.active_start_s)
    if len(found) == 1:
        return first
    # What was set for one athlete at both times may differ: the likelier is used.
    same = {(one.state, one.reason, one.target.user_id, one.target.guest_id) for one in found}
    if len(same) == 1 and first.reason is not Reason.TWO_ATHLETES:
        remarks = dict.fromkeys(remark for one in found for remark in one.remarks)
        return replace(first, remarks=tuple(remarks))
    held = _held(Reason.RECORDING_TIME_UNKNOWN, station, recorded, start)
    return _naming(held, _candidates(take, recorded.readings, timeline))


def _decide_at(
    take: Take, recorded: RecordingTime, timeline: Timeline, station: ClipTarget
) -> Attribution | None:
    """Decide who a take with a known time belongs to; None: nobody."""
    start, end = recorded.at(take.active_start_s), recorded.at(take.active_end_s)
    try:
        people = timeline.during(start, end)
        near_edge = timeline.has_edge_within(NEAR_EDGE_S, start, end)
    except UndecidableError:
        held = _held(Reason.RECORDING_TIME_UNKNOWN, station, recorded, start)
        return _naming(held, _candidates(take, [recorded], timeline))
    if len({person.who for person in people}) > 1:
        held = _held(Reason.TWO_ATHLETES, station, recorded, start)
        whoever = {
            person.who: AthleteCandidate(who=person.who, by=recorded.by, filmed_at=start.utc_s)
            for person in people
        }
        return _naming(held, list(whoever.values()))
    if people[0].who == (None, None):
        return None
    return _assigned(people[0], recorded, start, near_edge=near_edge)


def _decide_unknown(
    take: Take, recorded: RecordingTime, timeline: Timeline, station: ClipTarget
) -> Attribution:
    """Decide whose a take is where nobody knows when it was filmed: who was there all along?"""
    held = _held(Reason.RECORDING_TIME_UNKNOWN, station, recorded, recorded.start)
    since_s = min(0.0, recorded.end.utc_s - _UNKNOWN_SINCE_S - recorded.start.utc_s)
    try:
        people = timeline.during(recorded.start.shifted(since_s), recorded.end)
    except UndecidableError:
        people = []
    if len({person.who for person in people}) != 1 or people[0].who == (None, None):
        arrival = replace(recorded, start=recorded.end, by=RecordedBy.ARRIVAL, pace=0.0, others=())
        claimed = recorded.readings[1:]
        return _naming(held, _candidates(take, (*claimed, arrival), timeline))
    return _assigned(people[0], recorded, recorded.start, near_edge=False)


def _candidates(
    take: Take, readings: Sequence[RecordingTime], timeline: Timeline
) -> list[AthleteCandidate]:
    """Return who was on the station at each of some moments, each person once."""
    found: dict[tuple[str | None, int | None], AthleteCandidate] = {}
    timeline = timeline.believing()
    for reading in readings:
        start, end = reading.at(take.active_start_s), reading.at(take.active_end_s)
        for person in timeline.during(start, end):
            candidate = AthleteCandidate(who=person.who, by=reading.by, filmed_at=start.utc_s)
            found.setdefault(person.who, candidate)
    return list(found.values())


def _naming(held: Attribution, candidates: Sequence[AthleteCandidate]) -> Attribution:
    """Return a decision with who come into question."""
    named = (f"{ClipWarning.MAY_BE}{candidate.key}" for candidate in candidates)
    return replace(held, candidates=tuple(candidates), remarks=(*held.remarks, *named))


def _assigned(
    person: OnStation, recorded: RecordingTime, start: Instant, *, near_edge: bool
) -> Attribution:
    said = person.assignment
    assert said is not None and said.activity is not None  # an athlete has both
    remarks = []
    if near_edge:
        remarks.append(ClipWarning.NEAR_CHANGE)
    if not recorded.is_known:
        remarks.append(ClipWarning.TIME_UNKNOWN)
    if said.activity == "weightlifting" and said.barbell_mass_kg is None:
        remarks.append(ClipWarning.NO_MASS)
    if recorded.pace != 1.0:
        remarks.append(ClipWarning.UNFAMILIAR_PACE)
    is_guest = said.user_id is None
    return Attribution(
        state=EntryState.HELD if is_guest else EntryState.READY,
        reason=Reason.GUEST if is_guest else None,
        target=said.target,
        filmed_at=start.utc_s if recorded.is_known else None,
        remarks=tuple(remarks),
    )


def _unassigned(policy: UnassignedPolicy, station: ClipTarget, start: Instant) -> Attribution:
    state = {
        "hold": EntryState.HELD,
        "upload": EntryState.READY,
        "discard": EntryState.DISCARDED,
    }[policy]
    recipient = Recipient.KEY_OWNER if policy == "upload" else Recipient.UNKNOWN
    return Attribution(
        state=state,
        reason=None if policy == "upload" else Reason.UNASSIGNED,
        target=ClipTarget(
            recipient=recipient,
            user_id=None,
            activity=station.activity,
            exercise=station.exercise,
            barbell_mass_kg=station.barbell_mass_kg,
            incline_deg=station.incline_deg,
        ),
        filmed_at=start.utc_s,
    )


def _held(
    reason: Reason, station: ClipTarget, recorded: RecordingTime, start: Instant
) -> Attribution:
    return Attribution(
        state=EntryState.HELD,
        reason=reason,
        target=ClipTarget(
            recipient=Recipient.UNKNOWN,
            user_id=None,
            activity=station.activity,
            exercise=station.exercise,
        ),
        filmed_at=start.utc_s if recorded.is_known else None,
    )

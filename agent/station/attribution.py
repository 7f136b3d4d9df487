"""Which athlete a clip belongs to: certain, or held for a person.  Pure."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from agent.clock import Instant
from agent.outbox.models import ClipTarget, Take
from agent.outbox.states import EntryState, Reason, Recipient
from agent.station.recording_time import RecordedBy, RecordingTime
from agent.station.timeline import OnStation, Timeline, UndecidableError

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
    # What a person said of one and the same athlete at both times may differ: the likelier stands.
    same = {(one.state, one.reason, one.target.user_id, one.target.guest_id) for one in found}
    if len(same) == 1 and first.reason is not Reason.TWO_ATHLETES:
        remarks = dict.fromkeys(remark for one in found for remark in one.remarks)
        return replace(first, remarks=tuple(remarks))
    held = _held(Reason.RECORDING_TIME_UNKNOWN, station, recorded, start)
    return _naming(held, _candidates(take, recorded.readings, timeline))


def _decide_at(
    take: Take, recorded: RecordingTime, timeline: Timeline, station: ClipTarget
) -> Attribution | None:
    """Decide whose a take is that was filmed at a time that is known; None: nobody's."""
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
        arrival = replace(
            recorded, start=recorded.end, by=RecordedBy.FILE_TIME, pace=0.0, others=()
        )
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
        target=ClipTarget(
            recipient=Recipient.UNKNOWN if is_guest else Recipient.ATHLETE,
            user_id=said.user_id,
            guest_id=said.guest_id,
            activity=said.activity,
            exercise=said.exercise,
            barbell_mass_kg=said.barbell_mass_kg,
            incline_deg=said.incline_deg,
        ),
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

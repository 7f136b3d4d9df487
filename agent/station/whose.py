"""Whose clip a take is: an athlete, the key's owner, or a question for a person.  Pure."""

from dataclasses import dataclass
from typing import Literal

from agent.clock import Instant
from agent.outbox.capture import Take
from agent.outbox.entry import Whose
from agent.outbox.states import EntryState, Reason, Recipient
from agent.station.recording_time import RecordingTime
from agent.station.timeline import OnStation, Timeline, UndecidableError

NEAR_EDGE_S = 10.0

UnassignedPolicy = Literal["hold", "upload", "discard"]


class Remark:
    """What a coach should know of a clip although it is sent."""

    NEAR_CHANGE = "assignment_changed_within_10_s"
    TIME_UNKNOWN = "recording_time_unknown_but_one_athlete_since"
    NO_MASS = "barbell_mass_not_given"


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """Where a new clip begins, and for whom."""

    state: EntryState
    reason: Reason | None
    whose: Whose
    filmed_at: float | None  # Unix time of the take's first moment
    remarks: tuple[str, ...] = ()


def decide_whose(
    take: Take,
    recorded: RecordingTime,
    timeline: Timeline,
    *,
    station: Whose,
    unassigned: UnassignedPolicy,
) -> Decision:
    """Resolve, once, whose clip a take is.

    Args:
        take: the take; it asks for its own `[active_start, active_end)`, not its capture's.
        recorded: when the capture was filmed.
        timeline: who was on the station when.
        station: what is filmed here where nobody is assigned.
        unassigned: what the station is set to do with clips of nobody.
    """
    start, end = recorded.at(take.active_start_s), recorded.at(take.active_end_s)
    if not recorded.is_known:
        start, end = recorded.start, recorded.end
    try:
        people = timeline.during(start, end)
        near_edge = recorded.is_known and timeline.has_edge_within(NEAR_EDGE_S, start, end)
    except UndecidableError:
        return _held(Reason.RECORDING_TIME_UNKNOWN, station, recorded, start)
    if len({person.who for person in people}) > 1:
        reason = Reason.TWO_ATHLETES if recorded.is_known else Reason.RECORDING_TIME_UNKNOWN
        return _held(reason, station, recorded, start)
    if people[0].who == (None, None):
        if not recorded.is_known:
            return _held(Reason.RECORDING_TIME_UNKNOWN, station, recorded, start)
        return _unassigned(unassigned, station, start)
    return _assigned(people[0], recorded, start, near_edge=near_edge)


def _assigned(
    person: OnStation, recorded: RecordingTime, start: Instant, *, near_edge: bool
) -> Decision:
    said = person.assignment
    assert said is not None and said.activity is not None  # an athlete has both
    remarks = []
    if near_edge:
        remarks.append(Remark.NEAR_CHANGE)
    if not recorded.is_known:
        remarks.append(Remark.TIME_UNKNOWN)
    if said.activity == "weightlifting" and said.barbell_mass_kg is None:
        remarks.append(Remark.NO_MASS)
    is_guest = said.user_id is None
    return Decision(
        state=EntryState.HELD if is_guest else EntryState.READY,
        reason=Reason.GUEST if is_guest else None,
        whose=Whose(
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


def _unassigned(policy: UnassignedPolicy, station: Whose, start: Instant) -> Decision:
    state = {
        "hold": EntryState.HELD,
        "upload": EntryState.READY,
        "discard": EntryState.DISCARDED,
    }[policy]
    recipient = Recipient.KEY_OWNER if policy == "upload" else Recipient.UNKNOWN
    return Decision(
        state=state,
        reason=None if policy == "upload" else Reason.UNASSIGNED,
        whose=Whose(
            recipient=recipient,
            user_id=None,
            activity=station.activity,
            exercise=station.exercise,
            barbell_mass_kg=station.barbell_mass_kg,
            incline_deg=station.incline_deg,
        ),
        filmed_at=start.utc_s,
    )


def _held(reason: Reason, station: Whose, recorded: RecordingTime, start: Instant) -> Decision:
    return Decision(
        state=EntryState.HELD,
        reason=reason,
        whose=Whose(
            recipient=Recipient.UNKNOWN,
            user_id=None,
            activity=station.activity,
            exercise=station.exercise,
        ),
        filmed_at=start.utc_s if recorded.is_known else None,
    )

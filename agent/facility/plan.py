"""The day's plan: who is on the station when, as the hub wants it.

A plan is a whole document, signed by the hub and kept by the station: it holds while the hub is
away, and hearing it twice changes nothing.  A coach at the station overrules it until the next turn
begins.
"""

from contextlib import suppress
from dataclasses import replace
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, model_validator

from agent.clock import Instant
from agent.disk.state_folder import StateFolder, open_plain, rewriting
from agent.errors import AgentError, RequestError
from agent.facility.keys import HubDocument, OrderReport
from agent.facility.membership import PLAN_FILE, Membership
from agent.outbox.assignments import Assignment, AssignmentLayer
from agent.outbox.models import ClipTarget
from agent.outbox.outbox import Outbox
from agent.outbox.states import Recipient
from agent.station.assignments import StationRules, assign_person

SET_BY = "hub"
MOST_TURNS = 500
_AGREES_S = 60.0
_DONE = "hub-plan-turn"  # the turn that was put on the station, or that a coach overruled

_Moment = Annotated[float, Field(ge=0, le=1e11)]  # Unix time


class Turn(BaseModel):
    """One athlete's time on a station."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    user_id: str = Field(min_length=1, max_length=128)
    begins: _Moment
    ends: _Moment | None = None  # None: until the next turn
    exercise: str | None = Field(None, max_length=80)
    barbell_mass: float | None = Field(None, gt=0, le=500)

    @model_validator(mode="after")
    def _has_length(self) -> "Turn":
        if self.ends is not None and self.ends <= self.begins:
            raise ValueError("a turn ends after it begins")
        return self

    @property
    def key(self) -> str:
        """What tells it from other turns, in every revision."""
        return f"{self.user_id} {self.begins:.3f} {self.exercise} {self.barbell_mass}"


class StationPlan(HubDocument):
    """Who is to be on one station, and when."""

    KIND = "plan"
    MOST_BYTES = 200_000

    revision: Annotated[int, Field(ge=1, le=10**15)]
    issued_at: _Moment
    not_before: _Moment
    expires_at: _Moment
    turns: Annotated[tuple[Turn, ...], Field(max_length=MOST_TURNS)]

    def turn_at(self, at_s: float) -> Turn | None:
        """Return whose turn it is at a moment: each lasts until the next, or its own end."""
        if not self.not_before <= at_s < self.expires_at:
            return None
        begun = [turn for turn in self.turns if turn.begins <= at_s]
        last = max(begun, key=lambda turn: turn.begins, default=None)
        return last if last is not None and (last.ends is None or at_s < last.ends) else None


class PlanKeeper:
    """Keeps the plan of a station, and carries it out."""

    def __init__(
        self, outbox: Outbox, folder: StateFolder, member: Membership, *, rules: StationRules
    ) -> None:
        """Continue with the plan that is kept, if the hub's signature holds.

        Args:
            outbox: of the station.
            folder: where the plan is kept.
            member: what the station knows of its facility.
            rules: what the settings say about who is on the station.
        """
        self._outbox = outbox
        self._path = folder.root / PLAN_FILE
        self._member = member
        self._rules = rules
        self._plan: StationPlan | None = None
        self._seen: bytes | None = None  # the last document, whatever came of it
        self._clock_agrees = False  # with the hub's, since this process began
        self.report = OrderReport()
        with suppress(OSError, RequestError), open_plain(self._path) as file:
            self._plan = StationPlan.of_hub(file.read(StationPlan.MOST_BYTES), member)
            self.report = OrderReport(revision=self._plan.revision, state="waiting")

    def note_hub_time(self, hub_s: float, now: Instant) -> None:
        """Note the hub's clock: a station's that nothing has set counts only if both agree.

        Args:
            hub_s: Unix time at the hub.
            now: the station's.
        """
        self._clock_agrees = abs(hub_s - now.utc_s) <= _AGREES_S

    def hear(self, body: bytes) -> None:
        """Take a plan over, if it is the hub's and newer than the one that is kept.

        Raises:
            OSError: it cannot be kept; the one before holds.
        """
        if body == self._seen:
            return
        try:
            plan = StationPlan.of_hub(body, self._member)
        except RequestError as error:
            self.report = replace(self.report, state="refused", detail=str(error))
            self._seen = body
            return
        if self._plan is None or plan.revision > self._plan.revision:
            with rewriting(self._path) as file:
                file.write(body)
            self._plan = plan
            self.report = OrderReport(revision=plan.revision, state="waiting")
        self._seen = body

    def carry_out(self, now: Instant) -> bool:
        """Put on the station whose turn has begun; tell whether anybody was.

        Once for each turn: a coach who says something else afterwards, or has said it since the
        plan was made, is right until the next turn.
        """
        if self._plan is None or not (now.trusted or self._clock_agrees):
            return False
        turn = self._plan.turn_at(now.utc_s)
        if turn is None:
            return False
        if self._outbox.switches.get(_DONE) == turn.key:
            self._compare(turn)
            return False
        said_at = self._coach_at()
        if said_at is not None and said_at > max(turn.begins, self._plan.issued_at):
            self._outbox.switches.set(_DONE, turn.key)
            self._compare(turn)
            return False
        try:
            with self._outbox.transaction():
                self._assign(turn, now)
                self._outbox.switches.set(_DONE, turn.key)
        except AgentError as error:
            self._outbox.switches.set(_DONE, turn.key)
            self.report = replace(self.report, state="refused", detail=str(error))
            return False
        self.report = replace(self.report, state="applied", detail=None)
        return True

    def _assign(self, turn: Turn, now: Instant) -> None:
        wanted = None
        if turn.exercise is not None or turn.barbell_mass is not None:
            wanted = ClipTarget(
                recipient=Recipient.ATHLETE,
                user_id=turn.user_id,
                activity=self._rules.default.activity,
                exercise=turn.exercise,
                barbell_mass_kg=turn.barbell_mass,
            )
        lasts_s = None if turn.ends is None else max(1.0, turn.ends - now.utc_s)
        assign_person(
            self._outbox,
            turn.user_id,
            wanted,
            rules=self._rules,
            now=now,
            set_by=SET_BY,
            lasts_s=lasts_s,
        )

    def _compare(self, turn: Turn) -> None:
        """Note whether a coach has said something else than this turn."""
        if self.report.state == "refused":
            return
        last = self._latest()
        is_planned = last is not None and (last.set_by == SET_BY or last.user_id == turn.user_id)
        state = "applied" if is_planned else "overruled"
        self.report = replace(self.report, state=state, detail=None)

    def _coach_at(self) -> float | None:
        """Return when somebody at the station last said who is on it."""
        last = self._latest()
        return None if last is None or last.set_by == SET_BY else last.starts.utc_s

    def _latest(self) -> Assignment | None:
        said = self._outbox.assignments.latest(of_each_layer=1)
        coach = [one for one in said if one.layer is AssignmentLayer.COACH]
        return coach[-1] if coach else None

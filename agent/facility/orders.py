"""What the hub wants of a station: its plan, settings, share of the uplink, and version.

Each is a whole document, signed by the hub; hearing it twice changes nothing.  A plan is kept, and
holds while the hub is away; a coach at the station overrules it until the next turn begins.
Settings that the station cannot take over are refused as a whole: those before hold, and the state
says why.  A share of the uplink is short-lived and repeated by the hub; only what holds while
nothing is heard of the hub is kept.  The version is kept for spotter-update, which runs as root,
with the system's Python: what it says can hold an update back, or choose a version that the
station's own ring offers.
"""

import json
import os
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, model_validator

from agent.bandwidth_schedule import UNLIMITED, UplinkShare
from agent.clock import Instant, iso_utc
from agent.disk.state_folder import StateFolder, open_plain, rewriting
from agent.errors import AgentError, RequestError
from agent.facility.keys import HubDocument, OrderReport
from agent.facility.membership import ALLOWANCE_FILE, PLAN_FILE, RELEASE_FILE, Membership
from agent.outbox.assignments import Assignment, AssignmentLayer
from agent.outbox.models import ClipTarget
from agent.outbox.outbox import Outbox
from agent.outbox.states import Recipient
from agent.settings.load import HUB_FILE, check_hub_settings
from agent.station.assignments import StationRules, assign_person
from agent.text import read_json

_MODE = 0o640  # the group may read it, and not write it: see `read_hub_settings`

Tables = Mapping[str, Mapping[str, Any]]  # settings by table and key


MOST_REVISION = 10**15


class RevisedDocument(HubDocument):
    """A document of which the highest revision holds."""

    revision: Annotated[int, Field(ge=1, le=MOST_REVISION)]


class SettingsFragment(RevisedDocument):
    """What the hub sets at one station; everything else is the station's own."""

    KIND = "settings"
    MOST_BYTES = 65_536

    tables: dict[str, dict[str, Any]]


class SettingsKeeper:
    """Keeps the hub's settings of a station, and has them taken over."""

    def __init__(
        self,
        folder: StateFolder,
        member: Membership,
        *,
        reload: Callable[[], None],
        check: Callable[[Tables], None] = check_hub_settings,
    ) -> None:
        """Go on with the settings that are kept.

        Args:
            folder: where they are kept.
            member: what the station knows of its facility.
            reload: has the daemon read its settings again.
            check: raises an AgentError where the station cannot do what they say.
        """
        self._path = folder.root / HUB_FILE
        self._member = member
        self._reload = reload
        self._check = check
        self._seen: bytes | None = None
        self._revision = 0  # of those that are kept
        self.report = OrderReport()
        with suppress(OSError, RequestError), open_plain(self._path) as file:
            kept = SettingsFragment.of_hub(file.read(SettingsFragment.MOST_BYTES), member)
            self._revision = kept.revision
            self.report = OrderReport(revision=kept.revision, state="applied")

    def hear(self, body: bytes) -> None:
        """Take settings over, if they are the hub's, newer than those that are kept, and possible.

        Raises:
            OSError: they cannot be kept; those before hold.
        """
        if body == self._seen:
            return
        self._take_over(body)
        self._seen = body  # not before they are kept: else they would not be tried again

    def _take_over(self, body: bytes) -> None:
        try:
            told = SettingsFragment.of_hub(body, self._member)
        except RequestError as error:
            self._refuse(None, str(error))
            return
        if told.revision <= self._revision:
            return
        try:
            self._check(told.tables)
        except AgentError as error:
            self._refuse(told.revision, " ".join(str(error).split()))
            return
        with rewriting(self._path, _MODE) as file:
            file.write(body)
        self._revision = told.revision
        self.report = OrderReport(revision=told.revision, state="applied")
        self._reload()

    def _refuse(self, revision: int | None, why: str) -> None:
        self.report = OrderReport(revision=revision, state="refused", detail=why[:300])


HOLDS_S = 30.0
LEAST_BYTES_S = 4000.0  # nobody, not even the hub, stops a station's uploads altogether
MOST_BYTES_S = 1e12  # no limit

_Rate = Annotated[float, Field(ge=LEAST_BYTES_S, le=MOST_BYTES_S)]  # bytes per second


class Allowance(HubDocument):
    """How fast one station may upload."""

    KIND = "allowance"
    MOST_BYTES = 4096

    issued_at: float  # Unix time, by the hub's clock
    rate_bytes_s: _Rate
    alone_bytes_s: _Rate  # while the hub is away


class AllowanceKeeper:
    """Grants the station what the hub's allowances say."""

    def __init__(
        self,
        folder: StateFolder,
        member: Membership,
        share: UplinkShare,
        *,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Grant what holds without the hub, as the hub said it last.

        Args:
            folder: of the station.
            member: what the station knows of its facility.
            share: what is granted.
            monotonic: the clock of the allowances.
        """
        self._path = folder.root / ALLOWANCE_FILE
        self._member = member
        self._share = share
        self._monotonic = monotonic
        self._seen: bytes | None = b""  # the last body, or None for none; at first neither
        self._alone_bytes_s = self._kept()
        self._grant_alone()

    def document(self) -> int | None:
        """Return what holds now as a part of the state document; None: no limit."""
        rate = self._share.rate(self._monotonic())
        return None if rate == UNLIMITED else round(rate)

    def hear(self, body: bytes | None) -> None:
        """Take over an allowance; None: the hub shares nothing out.

        Raises:
            RequestError: it is not the hub's, another station's, or cannot be read.
            OSError: what holds without the hub cannot be kept.
        """
        if body == self._seen:
            return
        self._seen = body
        if body is None:
            self._share.grant(UNLIMITED, until_s=float("-inf"), then_bytes_s=UNLIMITED)
            self._keep(UNLIMITED)
            return
        told = Allowance.of_hub(body, self._member)
        self._share.grant(
            told.rate_bytes_s,
            until_s=self._monotonic() + HOLDS_S,
            then_bytes_s=told.alone_bytes_s,
        )
        self._keep(told.alone_bytes_s)

    def _grant_alone(self) -> None:
        self._share.grant(UNLIMITED, until_s=float("-inf"), then_bytes_s=self._alone_bytes_s)

    def _kept(self) -> float:
        with suppress(OSError, ValueError, TypeError, KeyError), open_plain(self._path) as file:
            kept = read_json(file.read(Allowance.MOST_BYTES))
            return max(LEAST_BYTES_S, float(kept["alone_bytes_s"]))
        return UNLIMITED

    def _keep(self, alone_bytes_s: float) -> None:
        if alone_bytes_s == self._alone_bytes_s:
            return
        if alone_bytes_s == UNLIMITED:
            self._path.unlink(missing_ok=True)
        else:
            with rewriting(self._path) as file:
                file.write(json.dumps({"alone_bytes_s": alone_bytes_s}).encode())
        self._alone_bytes_s = alone_bytes_s


_READABLE = 0o640  # the group may read it; what others could write, spotter-update does not follow


class Release(BaseModel):
    """A version that is wanted, or that none is to be installed; empty: what the ring offers."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    version: Annotated[str, Field(pattern=r"^[0-9][A-Za-z0-9.+~-]{0,59}$")] | None = None
    hold: bool = False  # install none
    not_before: Annotated[float, Field(ge=0, le=1e11)] | None = None  # Unix time

    @model_validator(mode="after")
    def _says_one_thing(self) -> "Release":
        if self.version is None and self.not_before is not None:
            raise ValueError("a time needs a version")
        if self.hold and self.version is not None:
            raise ValueError("a version, or none at all")
        return self

    @property
    def words(self) -> str:
        """What it says, in a few words."""
        if self.hold:
            return "install no version"
        if self.version is None:
            return "what the ring offers"
        after = "" if self.not_before is None else f", not before {iso_utc(self.not_before)}"
        return f"{self.version}{after}"


class StationRelease(RevisedDocument):
    """What one station is to install."""

    KIND = "release"
    MOST_BYTES = 4096

    release: Release


class ReleaseKeeper:
    """Keeps what the hub wants installed at a station."""

    def __init__(self, folder: StateFolder, member: Membership) -> None:
        """Continue with what is kept, if the hub's signature holds.

        Args:
            folder: where it is kept.
            member: what the station knows of its facility.
        """
        self._path = folder.root / RELEASE_FILE
        self._member = member
        self._seen: bytes | None = None
        self._kept: StationRelease | None = None
        self._report = OrderReport()
        with suppress(OSError, RequestError), open_plain(self._path) as file:
            kept = StationRelease.of_hub(file.read(StationRelease.MOST_BYTES), member)
            self._kept, self._report = kept, _applied(kept)

    def document(self) -> dict[str, object]:
        """Return what is wanted, and its outcome, as a part of the state document."""
        wanted = Release() if self._kept is None else self._kept.release
        return {**self._report.document(), **wanted.model_dump(mode="json")}

    def hear(self, body: bytes) -> None:
        """Keep what the hub wants, if it is the hub's and newer than what is kept.

        Raises:
            OSError: it cannot be kept; what was wanted before holds.
        """
        if body == self._seen and (self._report.state == "refused" or self._is_kept(body)):
            return
        try:
            told = StationRelease.of_hub(body, self._member)
        except RequestError as error:
            self._report = OrderReport(state="refused", detail=str(error))
            self._seen = body
            return
        is_newer = self._kept is None or told.revision > self._kept.revision
        if is_newer or (told == self._kept and not self._is_kept(body)):
            with rewriting(self._path, _READABLE) as file:
                file.write(body)
            self._kept, self._report = told, _applied(told)
        self._seen = body

    def _is_kept(self, body: bytes) -> bool:
        """Tell whether the file is there, and such that an update accepts it."""
        with suppress(OSError, RequestError), open_plain(self._path) as file:
            found = os.fstat(file.fileno())
            is_own = found.st_uid == os.geteuid() and not found.st_mode & 0o022
            return is_own and file.read(StationRelease.MOST_BYTES) == body
        return False


def _applied(kept: StationRelease) -> OrderReport:
    return OrderReport(revision=kept.revision, state="applied")


SET_BY = "hub"
MOST_TURNS = 500
_AGREES_S = 60.0
_SAME_END_S = 2.0  # ends that are no further apart are the same
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
        """What distinguishes it from other turns, in every revision."""
        return f"{self.user_id} {self.begins:.3f} {self.exercise} {self.barbell_mass}"


class StationPlan(RevisedDocument):
    """Who is to be on one station, and when."""

    KIND = "plan"
    MOST_BYTES = 200_000

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
        """Put on the station whose turn has begun; return whether anybody was.

        Once for each turn, and again where the plan gives it another end: a coach who says
        something else afterwards, or has said it since the plan was made, is right until the next
        turn.
        """
        if self._plan is None or not (now.trusted or self._clock_agrees):
            return False
        turn = self._plan.turn_at(now.utc_s)
        if turn is None:
            return False
        is_done = self._outbox.switches.get(_DONE) == turn.key
        if is_done and not self._ends_otherwise(turn):
            self._compare(turn)
            return False
        said_at = self._coach_at()
        if not is_done and said_at is not None and said_at > max(turn.begins, self._plan.issued_at):
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

    def _ends_otherwise(self, turn: Turn) -> bool:
        """Tell whether the plan gave this turn another end after it was put on the station."""
        last = self._latest()
        if last is None or last.set_by != SET_BY or last.user_id != turn.user_id:
            return False
        if last.starts.utc_s < turn.begins - _AGREES_S:  # an earlier turn: this one was refused
            return False
        if last.lasts_s is None or turn.ends is None:
            return last.lasts_s is not turn.ends
        return abs(last.starts.utc_s + last.lasts_s - turn.ends) > _SAME_END_S

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

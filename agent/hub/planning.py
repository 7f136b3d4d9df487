"""The hub's own athletes, from a CSV file, and the plans of stations that are made of them.

Names never leave the site: stations know athletes by their user ids, and names are put beside these
where a page is drawn.  Each change of a plan is a new revision, signed and published.
"""

import csv
import io
import json
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, suppress
from datetime import datetime, time
from pathlib import Path
from typing import Annotated, Any, Literal

from nats.js import JetStreamContext
from nats.js.errors import KeyNotFoundError
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from agent.disk.state_folder import open_plain, rewriting
from agent.errors import ConfigError, RequestError
from agent.facility.broker import HubConnection
from agent.facility.membership import DESIRED, Subjects
from agent.facility.orders import MOST_TURNS, StationPlan, Turn
from agent.hub.folder import HubFolder, Register, changing_alone
from agent.hub.server import hub_access
from agent.hub.settings import SiteSettings
from agent.hub.stations import next_revision
from agent.outbox.roster import GUEST_PREFIX
from agent.text import printable

_MOST_ATHLETES = 20_000
_MOST_BYTES = 1 << 24

_Group = Annotated[str, Field(min_length=1, max_length=60)]


class HubAthlete(BaseModel):
    """An athlete of the site."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    user_id: str = Field(min_length=1, max_length=128, pattern=r"^\S+$")
    name: str = Field(min_length=1, max_length=80)
    groups: tuple[_Group, ...] = Field((), max_length=20)
    consent: Literal["yes", "no", "unknown"] = "unknown"


_ALL = TypeAdapter(tuple[HubAthlete, ...])


class HubRoster:
    """The athletes, as the file has them; read again when it changes."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen: tuple[int, int] | None = None
        self._athletes: Mapping[str, HubAthlete] = {}

    def athletes(self) -> Mapping[str, HubAthlete]:
        """Return all athletes by user id.

        Raises:
            ConfigError: the file is damaged.
        """
        try:
            with open_plain(self._path) as file:
                found = self._path.stat()
                seen = found.st_ino, found.st_mtime_ns
                if seen != self._seen:
                    told = _ALL.validate_json(file.read(_MOST_BYTES))
                    self._athletes, self._seen = {one.user_id: one for one in told}, seen
        except FileNotFoundError:
            self._athletes, self._seen = {}, None
        except OSError as error:
            raise ConfigError(f"{self._path}: {error.strerror}", hint="use sudo") from None
        except ValidationError:
            raise ConfigError(
                f"{self._path} is damaged", hint="import it again: spotter hub roster FILE"
            ) from None
        return self._athletes

    def refuse_without_consent(self, user_ids: Iterable[str]) -> None:
        """See that nobody is planned who has not consented to be filmed.

        Raises:
            RequestError: naming those who have not.
        """
        known = self.athletes()
        refused = sorted({one for one in user_ids if one in known and known[one].consent == "no"})
        if refused:
            raise RequestError(
                f"no consent to be filmed: {', '.join(refused)}",
                hint="spotter hub roster FILE, with consent yes",
            )

    def change(self, athletes: Iterable[HubAthlete], *, replace: bool) -> int:
        """Take athletes over, in place of those with the same ids, or of all; return how many are
        there then.

        Raises:
            ConfigError: the file is damaged, and is not to be replaced.
            RequestError: they are too many.
            OSError: it cannot be written.
        """
        with changing_alone(self._path.parent):
            before = {} if replace else self.athletes()
            merged = {**before, **{one.user_id: one for one in athletes}}
            if len(merged) > _MOST_ATHLETES:
                raise RequestError(f"more than {_MOST_ATHLETES} athletes")
            self._write(merged)
        return len(merged)

    def remove(self, user_id: str) -> None:
        """Forget an athlete.

        Raises:
            RequestError: there is no such athlete.
        """
        with changing_alone(self._path.parent):
            known = dict(self.athletes())
            if known.pop(user_id, None) is None:
                raise RequestError(f"no athlete {user_id!r}", hint="spotter hub roster lists them")
            self._write(known)

    def _write(self, athletes: Mapping[str, HubAthlete]) -> None:
        document = [one.model_dump(mode="json") for _, one in sorted(athletes.items())]
        with rewriting(self._path, 0o600) as file:
            file.write(json.dumps(document, indent=1, ensure_ascii=False).encode())


def user_id_among(athletes: Mapping[str, HubAthlete], told: str) -> str:
    """Return the user id of whoever is told, by user id or by the full name of one athlete.

    A user id need not be in the roster; a name must: else it would leave the site as a user id.

    Raises:
        RequestError: several have this name, it is no user id, or it is a guest.
    """
    told = " ".join(told.split())
    if told in athletes:
        return told
    named = [one.user_id for one in athletes.values() if one.name.casefold() == told.casefold()]
    if len(named) > 1:
        raise RequestError(
            f"several athletes are called {told!r}: use the user id",
            hint="spotter hub roster lists them",
        )
    if named:
        return named[0]
    if told.startswith(GUEST_PREFIX):
        raise RequestError(
            f"{told!r} cannot be planned: a guest is known at one station only",
            hint=f"at the station: spotter assign {told}",
        )
    if not told:
        raise RequestError("no athlete", hint="a user id, or a full name of the roster")
    if " " in told:
        raise RequestError(f"{told!r} is not in the roster", hint="spotter hub roster lists them")
    return told


def read_roster_csv(text: str) -> list[HubAthlete]:
    """Return the athletes of a CSV file: all of it, or nothing.

    Args:
        text: with the columns user_id, name, and perhaps groups (separated by ;) and consent.

    Raises:
        RequestError: naming the line that cannot be read.
    """
    found: dict[str, HubAthlete] = {}
    for line, row in csv_rows(text, needed=("user_id", "name"), others=("groups", "consent")):
        if len(found) >= _MOST_ATHLETES:
            raise RequestError(f"more than {_MOST_ATHLETES} athletes")
        try:
            athlete = _athlete_of(row)
        except (ValueError, TypeError, AttributeError):
            hint = "a line needs a user id and a name; consent is yes, no or empty"
            raise unreadable(line, row, hint=hint) from None
        if athlete.user_id in found:
            raise RequestError(f"line {line}: {athlete.user_id} is there twice")
        found[athlete.user_id] = athlete
    return list(found.values())


def csv_rows(
    text: str, *, needed: tuple[str, ...], others: tuple[str, ...]
) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield the lines of a CSV file with their numbers, each by the names of its columns.

    Args:
        text: the file's.
        needed: columns that it must have.
        others: columns that it may have.

    Raises:
        RequestError: it is not such a file.
    """
    reader = csv.DictReader(io.StringIO(text.lstrip("\ufeff")), restval="")
    try:
        columns = [name.strip() for name in reader.fieldnames or ()]
        known = {*needed, *others}
        if not set(needed) <= set(columns) <= known or len(set(columns)) != len(columns):
            raise RequestError(
                f"the first line must name the columns {','.join(needed)}, "
                f"and perhaps {','.join(others)}",
                hint="separate columns by a comma, not by a semicolon or tab",
            )
        reader.fieldnames = columns
        for row in reader:
            if None in row:  # more values than columns
                hint = "it has more values than columns; quote a text with a comma in it"
                raise unreadable(reader.line_num, row, hint=hint)
            yield reader.line_num, row
    except csv.Error as error:
        told = str(error).partition(" - ")[0]  # behind it stands what a program should do
        raise RequestError(
            f"line {reader.line_num + 1} cannot be read: {told}",
            hint="save the table as CSV, in UTF-8",
        ) from None


def unreadable(line: int, row: Mapping[Any, Any], *, hint: str) -> RequestError:
    """Return what says that a line of a CSV file cannot be read, with the line itself."""
    values = [*(value for name, value in row.items() if name), *row.get(None, ())]
    return RequestError(
        f"line {line} cannot be read: {printable(','.join(values), 200)}", hint=hint
    )


def _athlete_of(row: Mapping[str, str]) -> HubAthlete:
    """Return the athlete of a line.

    Raises:
        ValueError: it cannot be read.
    """
    given = {name: _clean(value or "") for name, value in row.items()}
    groups = [one.strip() for one in given.get("groups", "").split(";")]
    return HubAthlete.model_validate(
        {
            "user_id": given["user_id"],
            "name": given["name"],
            "groups": [one for one in groups if one],
            "consent": given.get("consent", "").lower() or "unknown",
        }
    )


def _clean(text: str) -> str:
    if any(unicodedata.category(sign).startswith("C") for sign in text):
        raise ValueError("control characters")
    return " ".join(unicodedata.normalize("NFC", text).split())


_HOLDS_S = 36 * 3600.0  # behind the last turn's beginning, or now: a day without a hub
_NEEDED, _OTHERS = ("station", "user_id", "begins"), ("ends", "exercise", "barbell_mass")
MOST_DAYS = 14  # that are planned from an iCalendar
_MOST_ROWS = 20_000
_EXPECTED = "Nats-Expected-Last-Subject-Sequence"


class Planner:
    """Changes the plans of stations; every change is on record before it returns."""

    def __init__(self, site: SiteSettings, folder: HubFolder) -> None:
        self._site = site.site
        self._key = folder.key()
        self._folder = folder
        self._roster = HubRoster(folder.roster)
        self._access = hub_access(site.listen, folder, self._key)

    def add(
        self, station: str, turns: Sequence[Turn], *, now_s: float, replace: bool = False
    ) -> StationPlan:
        """Add turns to a station's plan, each in place of one that begins at the same moment.

        Args:
            station: its id.
            turns: to add.
            now_s: Unix time.
            replace: whether turns that have not begun, and are not among them, are dropped.

        Raises:
            RequestError: there is no such station, or the plan would be too long.
            NotifyError: the broker cannot be reached, or somebody else has just changed the plan.
            OSError: it is published, but not kept: the hub keeps it at its next start.
        """
        self._folder.register().station(station)
        self.refuse_without_consent(turns)
        subjects = Subjects(site=self._site, station=station)
        subject = f"$KV.{DESIRED}.{subjects.place}.plan"
        with closing(HubConnection(self._access)) as broker:
            broker.open()
            stored = broker.stored(subjects.last(f"KV_{DESIRED}", subject))
            before = None if stored is None else self._read(station, stored.body)
            if replace and before is not None:
                begun = tuple(turn for turn in before.turns if turn.begins <= now_s)
                before = before.model_copy(update={"turns": begun})
            least = next_revision(broker, subjects, "plan")
            plan = self._next(station, before, turns, now_s=now_s, least=least)
            expected = "0" if stored is None else str(stored.sequence)
            body = plan.sealed(self._key)
            broker.publish(subject, body, {_EXPECTED: expected})
        self._keep(plan, body)
        return plan

    def _keep(self, plan: StationPlan, body: bytes) -> None:
        """Keep a plan that is published, unless a later one is kept already."""
        path, public = self._folder.plan_of(plan.station), self._key.public
        with changing_alone(self._folder.root):
            kept = _revision(_kept_plan(path), site=self._site, station=plan.station, public=public)
            if kept < plan.revision:
                with rewriting(path, 0o600) as file:
                    file.write(body)

    def clear(self, station: str, *, now_s: float) -> None:
        """Leave nothing planned for whatever station has this name next.

        Raises:
            OSError: it cannot be kept.
        """
        path = self._folder.plan_of(station)
        if path.exists():
            plan = self._next(station, None, [], now_s=now_s)
            with rewriting(path, 0o600) as file:
                file.write(plan.sealed(self._key))

    def refuse_without_consent(self, turns: Iterable[Turn]) -> None:
        """See that nobody is planned who has not consented to be filmed.

        Raises:
            RequestError: naming those who have not.
        """
        self._roster.refuse_without_consent(turn.user_id for turn in turns)

    def _read(self, station: str, body: bytes) -> StationPlan | None:
        try:
            return StationPlan.unsealed(
                body, site=self._site, station=station, hub=self._key.public
            )
        except RequestError:
            return None  # of another key: replaced by this plan

    def _next(
        self,
        station: str,
        before: StationPlan | None,
        turns: Sequence[Turn],
        *,
        now_s: float,
        least: int = 1,  # revision
    ) -> StationPlan:
        earlier = () if before is None else before.turns
        begins = {turn.begins for turn in turns}
        all_turns = sorted(
            [*(turn for turn in earlier if turn.begins not in begins), *turns],
            key=lambda turn: turn.begins,
        )
        begun = sum(turn.begins <= now_s for turn in all_turns)
        all_turns = all_turns[max(0, begun - 1) :]  # the present one, and those that come
        if len(all_turns) > MOST_TURNS:
            raise RequestError(f"{station}: a plan has at most {MOST_TURNS} turns")
        revision = max(round(now_s * 1000), least, 0 if before is None else before.revision + 1)
        last_s = max([now_s, *(turn.ends or turn.begins for turn in all_turns)])
        return StationPlan(
            site=self._site,
            station=station,
            revision=revision,  # also after the broker's store was lost
            issued_at=now_s,
            not_before=0.0,
            expires_at=last_s + _HOLDS_S,
            turns=tuple(all_turns),
        )


async def keep_plans(
    broker: JetStreamContext, site: str, folder: HubFolder, register: Register
) -> None:
    """Publish the plans that the broker has lost, and keep those that it has and the folder not.

    Raises:
        OSError: they cannot be kept.
    """
    public, desired = folder.key().public, await broker.key_value(DESIRED)
    for station in register.stations:
        name = f"{site}.{station}.plan"
        try:
            stored = (await desired.get(name)).value or b""
        except KeyNotFoundError:
            stored = b""
        path = folder.plan_of(station)
        kept = _kept_plan(path)
        ours, theirs = (
            _revision(body, site=site, station=station, public=public) for body in (kept, stored)
        )
        if ours > theirs:
            await desired.put(name, kept)
        elif theirs > ours:
            with rewriting(path, 0o600) as written:
                written.write(stored)


def _kept_plan(path: Path) -> bytes:
    """Return a plan as the folder has it; nothing where it has none."""
    with suppress(FileNotFoundError), open_plain(path) as file:
        return file.read(StationPlan.MOST_BYTES)
    return b""


def _revision(body: bytes, *, site: str, station: str, public: str) -> int:
    """Return the revision of a plan of this hub; 0 where it is none."""
    with suppress(RequestError):
        return StationPlan.unsealed(body, site=site, station=station, hub=public).revision
    return 0


def is_calendar(text: str) -> bool:
    """Tell whether a text is an iCalendar rather than a CSV file."""
    return text.lstrip("\ufeff \r\n\t")[:15].upper() == "BEGIN:VCALENDAR"


def read_plan_csv(
    text: str, *, now_s: float, athletes: Mapping[str, HubAthlete]
) -> dict[str, list[Turn]]:
    """Return the turns of a CSV file, by station: all of it, or nothing.

    Args:
        text: with the columns station, user_id, begins, and perhaps ends, exercise, barbell_mass.
        now_s: Unix time; a time of day is of this day.
        athletes: of the roster, by user id.

    Raises:
        RequestError: naming the line that cannot be read.
    """
    found: dict[str, list[Turn]] = defaultdict(list)
    for number, row in csv_rows(text, needed=_NEEDED, others=_OTHERS):
        if number > _MOST_ROWS:
            raise RequestError(f"more than {_MOST_ROWS} lines")
        try:
            given = {name: value.strip() for name, value in row.items()}
            found[given["station"]].append(
                Turn(
                    user_id=user_id_among(athletes, given["user_id"]),
                    begins=moment_of(given["begins"], now_s=now_s),
                    ends=moment_of(given["ends"], now_s=now_s) if given.get("ends") else None,
                    exercise=given.get("exercise") or None,
                    barbell_mass=float(mass) if (mass := given.get("barbell_mass")) else None,
                )
            )
        except RequestError as error:
            raise RequestError(f"line {number}: {error}", hint=error.hint) from None
        except (ValueError, TypeError, AttributeError):
            hint = "times are like 14:30 or 2026-11-29 14:30; a mass is a number"
            raise unreadable(number, row, hint=hint) from None
    return dict(found)


def moment_of(text: str, *, now_s: float) -> float:
    """Return the Unix time of 14:30 (of today), or of 2026-11-29 14:30, by this machine's clock.

    Raises:
        ValueError: it is neither.
    """
    if len(text) <= len("14:30:00"):
        today = datetime.fromtimestamp(now_s).astimezone()
        at = time.fromisoformat(text)
        return datetime.combine(today.date(), at).astimezone().timestamp()
    return datetime.fromisoformat(text).astimezone().timestamp()

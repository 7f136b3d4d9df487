"""Plans of stations, made on the hub: each change is a new revision, signed and published."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from contextlib import closing, suppress
from datetime import datetime, time

from nats.js import JetStreamContext
from nats.js.errors import KeyNotFoundError

from agent.disk.state_folder import open_plain, rewriting
from agent.errors import RequestError
from agent.facility.broker import HubConnection
from agent.facility.membership import DESIRED, Subjects
from agent.facility.plan import MOST_TURNS, StationPlan, Turn
from agent.hub.folder import HubFolder, Register
from agent.hub.roster import HubRoster, csv_rows, unreadable
from agent.hub.server import hub_access
from agent.hub.settings import SiteSettings

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
            plan = self._next(station, before, turns, now_s=now_s)
            expected = "0" if stored is None else str(stored.sequence)
            body = plan.sealed(self._key)
            broker.publish(subject, body, {_EXPECTED: expected})
        with rewriting(self._folder.plan_of(station), 0o600) as file:
            file.write(body)
        return plan

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
        self, station: str, before: StationPlan | None, turns: Sequence[Turn], *, now_s: float
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
        revision = max(round(now_s * 1000), 0 if before is None else before.revision + 1)
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
        path, kept = folder.plan_of(station), b""
        with suppress(FileNotFoundError), open_plain(path) as file:
            kept = file.read(StationPlan.MOST_BYTES)
        ours, theirs = (
            _revision(body, site=site, station=station, public=public) for body in (kept, stored)
        )
        if ours > theirs:
            await desired.put(name, kept)
        elif theirs > ours:
            with rewriting(path, 0o600) as written:
                written.write(stored)


def _revision(body: bytes, *, site: str, station: str, public: str) -> int:
    """Return the revision of a plan of this hub; 0 where it is none."""
    with suppress(RequestError):
        return StationPlan.unsealed(body, site=site, station=station, hub=public).revision
    return 0


def is_calendar(text: str) -> bool:
    """Tell whether a text is an iCalendar rather than a CSV file."""
    return text.lstrip("\ufeff \r\n\t")[:15].upper() == "BEGIN:VCALENDAR"


def read_plan_csv(text: str, *, now_s: float) -> dict[str, list[Turn]]:
    """Return the turns of a CSV file, by station: all of it, or nothing.

    Args:
        text: with the columns station, user_id, begins, and perhaps ends, exercise, barbell_mass.
        now_s: Unix time; a time of day is of this day.

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
                    user_id=given["user_id"],
                    begins=moment_of(given["begins"], now_s=now_s),
                    ends=moment_of(given["ends"], now_s=now_s) if given.get("ends") else None,
                    exercise=given.get("exercise") or None,
                    barbell_mass=float(mass) if (mass := given.get("barbell_mass")) else None,
                )
            )
        except (ValueError, TypeError, AttributeError):
            raise unreadable(number, row) from None
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

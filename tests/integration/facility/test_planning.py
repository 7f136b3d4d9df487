"""Plans: made on the hub, verified and carried out by the station, overruled by its coach."""

import json
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from agent.clock import Instant
from agent.disk.state_folder import StateFolder
from agent.errors import RequestError
from agent.facility.keys import FacilityKey
from agent.facility.membership import Membership
from agent.facility.orders import PlanKeeper, StationPlan, Turn
from agent.hub.planning import read_plan_csv
from agent.outbox.models import ClipTarget
from agent.outbox.outbox import Outbox
from agent.outbox.states import Recipient
from agent.station.assignments import StationRules, assign_person
from tests.facility import Hub
from tests.factories import NOW_S, instant
from tests.integration.facility.conftest import MakeStation
from tests.station import until

HUB, THIEF = FacilityKey(bytes(32)), FacilityKey(bytes([1]) * 32)
MEMBER = Membership(address="h:1", site="gym-1", station="rack-1", certificate="", hub=HUB.public)
RULES = StationRules(
    default=ClipTarget(recipient=Recipient.UNKNOWN, user_id=None, activity="running")
)


def plan(*turns: Turn, revision: int = 1, **more: object) -> StationPlan:
    told: dict[str, object] = {
        **{"site": "gym-1", "station": "rack-1", "revision": revision, "turns": turns},
        **{"issued_at": NOW_S, "not_before": 0.0, "expires_at": NOW_S + 86_400},
        **more,
    }
    return StationPlan.model_validate(told)


def turn(user_id: str, after_s: float, ends_s: float | None = None) -> Turn:
    ends = None if ends_s is None else NOW_S + ends_s
    return Turn(user_id=user_id, begins=NOW_S + after_s, ends=ends)


@pytest.fixture
def outbox(tmp_path: Path) -> Iterator[Outbox]:
    with Outbox.open(tmp_path) as opened:
        yield opened


def keeper(outbox: Outbox, tmp_path: Path) -> PlanKeeper:
    return PlanKeeper(outbox, StateFolder(tmp_path), MEMBER, rules=RULES)


def assigned(outbox: Outbox) -> list[str | None]:
    """Everybody whom anybody has put on the station, in order."""
    return [said.user_id for said in outbox.assignments.all()]


def coach_says(outbox: Outbox, user_id: str, now: Instant) -> None:
    assign_person(outbox, user_id, rules=RULES, now=now, set_by="page")


def test_a_turn_is_carried_out_once_and_again_by_nothing(outbox: Outbox, tmp_path: Path) -> None:
    made = keeper(outbox, tmp_path)
    body = plan(turn("ada", 0), turn("bob", 600, 900)).sealed(HUB)
    made.hear(body)
    assert made.report.state == "waiting"
    assert made.carry_out(instant(1)) and not made.carry_out(instant(2))
    made.hear(body)
    again = keeper(outbox, tmp_path)  # after a restart, without the hub
    assert not again.carry_out(instant(3))
    assert again.report.document() == {"revision": 1, "state": "applied", "detail": None}
    assert again.carry_out(instant(601)) and not again.carry_out(instant(950))
    assert assigned(outbox) == ["ada", "bob"]
    assert outbox.assignments.all()[-1].lasts_s == 299.0


@pytest.mark.parametrize(
    ("before_s", "after_s", "lasts_s"), [(600, 1200, 900.0), (600, 400, 100.0), (600, None, None)]
)
def test_another_end_of_a_turn_counts_while_it_lasts(
    outbox: Outbox, tmp_path: Path, before_s: float, after_s: float | None, lasts_s: float | None
) -> None:
    made = keeper(outbox, tmp_path)
    made.hear(plan(turn("ada", 0, before_s)).sealed(HUB))
    assert made.carry_out(instant(1))
    made.hear(plan(turn("ada", 0, after_s), revision=2).sealed(HUB))
    assert made.carry_out(instant(300)) and not made.carry_out(instant(301))
    assert not keeper(outbox, tmp_path).carry_out(instant(302))  # nor after a restart
    assert [said.lasts_s for said in outbox.assignments.all()] == [before_s - 1, lasts_s]
    coach_says(outbox, "eve", instant(303))
    made.hear(plan(turn("ada", 0, 2000), revision=3).sealed(HUB))
    assert not made.carry_out(instant(304)) and made.report.state == "overruled"
    assert assigned(outbox) == ["ada", "ada", "eve"]


def test_a_coach_overrules_until_the_next_turn(outbox: Outbox, tmp_path: Path) -> None:
    made = keeper(outbox, tmp_path)
    made.hear(plan(turn("ada", 0), turn("bob", 600)).sealed(HUB))
    coach_says(outbox, "eve", instant(5))  # before the plan arrived, but after it was made
    assert not made.carry_out(instant(10)) and made.report.state == "overruled"
    assert made.carry_out(instant(601)) and made.report.state == "applied"
    coach_says(outbox, "eve", instant(700))
    assert not made.carry_out(instant(701)) and made.report.state == "overruled"
    made.hear(plan(turn("bob", 600), turn("ada", 800), revision=2).sealed(HUB))
    assert not made.carry_out(instant(702))  # the same turn in a new revision
    assert made.carry_out(instant(801))
    assert assigned(outbox) == ["eve", "bob", "eve", "ada"]


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (plan(turn("eve", 0), revision=9).sealed(THIEF), "not signed by the hub"),
        (plan(turn("eve", 0), revision=9, station="rack-2").sealed(HUB), "another station"),
        (plan(turn("eve", 0), revision=9, site="gym-2").sealed(HUB), "another station"),
        (plan(turn("ada", 0), revision=9).sealed(HUB).replace(b"ada", b"eve"), "not signed"),
        (b'{"document": "{}", "signature": "AA=="}', "not signed"),
        (b"rubbish", "cannot be read"),
        (b'{"document": 1}', "cannot be read"),
        (b"[" * 100_000, "cannot be read"),
    ],
    ids=[
        "other key",
        "other station",
        "other site",
        "changed",
        "no signature",
        "rubbish",
        "half",
        "deep",
    ],
)
def test_a_forged_plan_is_refused_and_the_one_before_holds(
    outbox: Outbox, tmp_path: Path, body: bytes, why: str
) -> None:
    made = keeper(outbox, tmp_path)
    made.hear(plan(turn("ada", 0), turn("bob", 60), revision=2).sealed(HUB))
    made.hear(body)
    assert made.report.state == "refused" and why in str(made.report.detail)
    assert made.carry_out(instant(1)) and made.carry_out(instant(61))
    (tmp_path / "hub-plan.json").write_bytes(body)  # as whoever can write there might
    again = keeper(outbox, tmp_path)
    assert not again.carry_out(instant(62))
    assert assigned(outbox) == ["ada", "bob"]


def test_an_older_and_an_expired_plan_change_nothing(outbox: Outbox, tmp_path: Path) -> None:
    made = keeper(outbox, tmp_path)
    made.hear(plan(turn("ada", 0), revision=5, expires_at=NOW_S + 50).sealed(HUB))
    made.hear(plan(turn("eve", 0), revision=4).sealed(HUB))
    assert not made.carry_out(instant(51))
    assert not made.carry_out(instant(1, trusted=False))  # a clock that nothing has set
    made.note_hub_time(NOW_S + 900, instant(1))
    assert not made.carry_out(instant(1, trusted=False))  # and that the hub does not confirm
    made.note_hub_time(NOW_S + 2, instant(1))
    assert made.carry_out(instant(1, trusted=False))
    assert assigned(outbox) == ["ada"]


def test_a_plan_of_the_hub_reaches_the_station_and_holds_without_the_hub(
    hub: Hub, station: MakeStation, tmp_path: Path
) -> None:
    rack = station("planned")
    hub.admit(rack)
    assert "no station" in hub.spotter("assign", "nowhere", "ada", code=1)
    hub.spotter("invite", "guest")
    assert "has not joined yet" in hub.spotter("assign", "guest", "ada", code=1)
    hub.spotter("remove", "guest")
    with rack.running():
        begun_s = time.monotonic()
        hub.spotter("assign", "planned", "ada")
        command_s = time.monotonic() - begun_s  # the second turn begins after its own command

        def plan_state() -> object:
            told = hub.state_of("planned") or {}
            shown = told.get("plan")
            return shown["state"] if isinstance(shown, dict) else None

        until(lambda: plan_state() == "applied")
        assert _on_station(rack.spotter("status", "--json")) == "ada"
        file = tmp_path / "plan.csv"
        soon_s = time.time() + 2 + 3 * command_s
        moment = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(soon_s))
        file.write_text(f"station,user_id,begins\nplanned,bob,{moment}\n")
        told = json.loads(hub.spotter("plan", str(file), "--json"))
        assert [one["user_id"] for one in told[0]["turns"]] == ["ada", "bob"]
        kept = rack.state / "hub-plan.json"
        until(lambda: b"bob" in kept.read_bytes())
        hub.stop()
        try:
            until(lambda: _on_station(rack.spotter("status", "--json")) == "bob")
        finally:
            hub.start()
        rack.spotter("assign", "eve")
        until(lambda: plan_state() == "overruled")
    listed = json.loads(hub.spotter("stations", "--json"))
    assert [one["told"]["plan"]["state"] for one in listed if one["station"] == "planned"] == [
        "overruled"
    ]


def test_a_plan_after_a_restore_counts_although_the_hubs_clock_was_ahead_before(
    hub: Hub, station: MakeStation
) -> None:
    rack, subject = station("rack-1"), "$KV.desired.gym-1.rack-1.plan"

    def revision() -> object:
        shown = (hub.state_of("rack-1") or {}).get("plan")
        return shown["revision"] if isinstance(shown, dict) else None

    hub.admit(rack)
    with rack.running():
        ahead = plan(turn("ada", 0), revision=round(4e9 * 1000))
        with closing(hub.connection()) as broker:
            broker.publish(subject, ahead.sealed(hub.folder.key()))
            until(lambda: revision() == ahead.revision)
            broker.ask("$JS.API.STREAM.PURGE.KV_desired")  # of which the backup has nothing

        told = json.loads(hub.spotter("assign", "rack-1", "bob", "--json"))[0]

        assert told["revision"] > ahead.revision
        until(lambda: revision() == told["revision"])


def _on_station(status: str) -> object:
    return json.loads(status)["assignment"]["user_id"]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("station,user\n", "the first line"),
        ("station,user_id,begins\nr,ada,25:00\n", "line 2"),
        ("station,user_id,begins,ends\nr,ada,10:00,09:00\n", "line 2"),
        ("station,user_id,begins\nr,,10:00\n", "line 2"),
        ("station,user_id,begins\nr,ada\n", "line 2 cannot be read: r,ada,$"),
        ("station,user_id,begins\nr,ada,10:00,more\n", "line 2"),
        ("station,user_id,begins\nr,ada," + "x" * 200_000, "line 2"),
    ],
)
def test_a_csv_file_that_cannot_be_read_plans_nothing(text: str, why: str) -> None:
    with pytest.raises(RequestError, match=why):
        read_plan_csv(text, now_s=NOW_S, athletes={})


def test_a_name_never_leaves_as_a_user_id_and_evades_no_consent(
    hub: Hub, station: MakeStation, tmp_path: Path
) -> None:
    hub.admit(station("rack-1"))
    roster, plan = tmp_path / "roster.csv", tmp_path / "plan.csv"
    roster.write_text(
        "user_id,name,consent\nu1,Ada Byron,yes\nu2,Bo Li,no\nu3,Al Ash,\nu4,Al Ash,\n"
    )
    hub.spotter("roster", str(roster))

    def planned(*words: str) -> object:
        return json.loads(hub.spotter(*words, "--json"))[0]["turns"][-1]["user_id"]

    assert planned("assign", "rack-1", "ada  byron") == "u1"
    plan.write_text("station,user_id,begins\nrack-1,Ada Byron,23:59\n")
    assert planned("plan", str(plan)) == "u1"
    assert (
        planned("assign", "rack-1", "not-in-the-roster", "--at", "23:59:30") == "not-in-the-roster"
    )
    day = f"{datetime.now().astimezone() - timedelta(days=2):%Y-%m-%d}"
    over = hub.spotter("assign", "rack-1", "u1", "--at", f"{day} 14:30", "--for", "30m", code=1)
    assert f"this turn would have ended at {day} 15:00" in over
    for told, why in (
        ("Bo Li", "no consent to be filmed: u2"),
        ("Al Ash", "several athletes"),
        ("Cy Nobody", "'Cy Nobody' is not in the roster"),
        ("guest:3", "a guest is known at one station only"),
    ):
        assert why in hub.spotter("assign", "rack-1", told, code=1)
        plan.write_text(f"station,user_id,begins\nrack-1,u1,23:58\nrack-1,{told},23:59\n")
        refused = hub.spotter("plan", str(plan), code=1)
        assert why in refused and ("line 3" in refused or told == "Bo Li")


def test_a_calendar_takes_the_place_of_the_turns_to_come(
    hub: Hub, station: MakeStation, tmp_path: Path
) -> None:
    hub.admit(station("calendar"))
    hub.spotter("assign", "calendar", "now")
    hub.spotter("assign", "calendar", "dropped", "--at", _local(3600))
    calendar = tmp_path / "week.ics"

    def write(*events: str) -> None:
        calendar.write_text("\r\n".join(["BEGIN:VCALENDAR", *events, "END:VCALENDAR"]))

    kept = (
        f"BEGIN:VEVENT\r\nLOCATION:calendar\r\nSUMMARY:kept\r\nDTSTART:{_stamp(7200)}\r\nEND:VEVENT"
    )
    write(kept, "BEGIN:VEVENT\r\nSUMMARY:Holiday\r\nEND:VEVENT")
    hub.spotter("plan", str(calendar), "--replace")
    (made,) = json.loads(hub.spotter("plan", str(calendar), "--replace", "--json"))  # as by cron
    assert [one["user_id"] for one in made["turns"]] == ["now", "kept"]
    write(kept.replace("\r\nEND", "\r\nSTATUS:CANCELLED\r\nEND"))
    (made,) = json.loads(hub.spotter("plan", str(calendar), "--replace", "--json"))
    assert [one["user_id"] for one in made["turns"]] == ["now"]
    write(kept.replace("LOCATION:calendar", "LOCATION:nowhere"))
    assert "line 3: no station 'nowhere'" in hub.spotter("plan", str(calendar), code=1)


def _local(after_s: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(time.time() + after_s))


def _stamp(after_s: float) -> str:
    return time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(time.time() + after_s))

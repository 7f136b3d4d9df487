"""That sessions are used up, or a key soon expires, is said wherever anybody looks."""

import json
import time
from dataclasses import replace
from pathlib import Path

import pytest

from agent.doctor.check import Severity
from agent.doctor.network import check_api, judge_expiry
from agent.doctor.recordings import judge_lane
from agent.notifications.message import StationReport
from agent.outbox.outbox import Outbox
from agent.outbox.pauses import PLAN_LIMIT
from agent.sandbox.account import OWNER_UID
from agent.sandbox.server import Sandbox
from agent.station.status import StationStatus, read_facts, station_status
from agent.web.i18n import UPLOADS_PAUSED, Texts
from tests.factories import NOW_S, instant, ready_entry
from tests.integration.test_doctor import patient_of
from tests.station import KEY, Station
from tests.unit.api.test_jwt import token

HOST = "127.0.0.1:9"
DAY_S = 86_400.0


def used_up(station: Station) -> None:
    """Three clips wait, and the API has said why."""
    station.spotter("status")  # makes the outbox
    with Outbox.open(station.state) as outbox:
        for number in (1, 2, 3):
            ready_entry(outbox, number)
        outbox.limits.note(OWNER_UID, "athlete-1", now_s=NOW_S, detail="HTTP 404: no more [LIMIT]")
        outbox.lanes.update(
            HOST,
            {
                "uid": OWNER_UID,
                "answered_at": NOW_S,
                "paused_reason": PLAN_LIMIT,
                "paused_detail": "the plan's session limit is reached: no more",
                "next_probe_at": NOW_S + 3600,
                "key_expires_at": time.time() + 5 * DAY_S,
                "plan": "Basic",
            },
        )


def test_status_tells_how_many_clips_wait_and_that_the_key_expires(tmp_path: Path) -> None:
    station = Station(tmp_path, f"http://{HOST}")
    used_up(station)

    document, told = json.loads(station.spotter("status", "--json")), station.spotter("status")

    limit = document["api"]["limit"]
    assert (limit["clips"], limit["athletes"], limit["detail"]) == (
        3,
        1,
        "HTTP 404: no more [LIMIT]",
    )
    assert document["api"]["paused"] == PLAN_LIMIT and document["api"]["reachable"] is True
    assert document["api"]["key_expires_soon"] is True
    assert "plan_limit" in [need["what"] for need in document["needs_you"]]
    assert "session limit REACHED: 3 clips waiting" in told and "EXPIRES" in told


def test_page_notices_and_doctor_tell_it(tmp_path: Path) -> None:
    station = Station(tmp_path, f"http://{HOST}")
    used_up(station)
    with Outbox.open(station.state) as outbox:
        facts = read_facts(
            outbox,
            host=HOST,
            capture_folder=station.capture,
            is_stopped=False,
            is_filming=False,
            now_s=NOW_S,
        )
        lane = outbox.lanes.get(HOST)
    standing = StationReport(
        facts=facts, backlog_bytes=0, free_bytes=1, total_bytes=2, last_delivered_at=None
    )

    assert replace(facts, captures_waiting=0).lane_reason == PLAN_LIMIT
    assert station_status(replace(facts, captures_waiting=0)) is StationStatus.NEEDS
    assert standing.needs_person
    assert standing.document()["uploads_paused"] == PLAN_LIMIT
    for language, word in (("en", "used up"), ("de", "verbraucht")):
        told = Texts(language).gettext(UPLOADS_PAUSED[PLAN_LIMIT], n=3)
        assert word in told and "3" in told
    judged = judge_lane(lane)
    assert judged.state is Severity.WARNING and "session limit" in judged.finding


def test_doctor_tells_when_a_key_expires() -> None:
    now = instant()

    assert judge_expiry("sandbox-key", now) == []
    for days, state in ((-1, Severity.BROKEN), (13, Severity.WARNING), (30, Severity.FINE)):
        (found,) = judge_expiry(token({"exp": NOW_S + days * DAY_S}), now)
        assert found.state is state


@pytest.mark.parametrize(
    ("plan", "role", "words"),
    [
        ("Standard", "admin", "only Pro and Enterprise"),
        ("Pro", "admin", "acts for all athletes"),
        ("Enterprise", "subadmin", "acts for all athletes"),
        ("Enterprise", "user", "not an admin's and cannot act for others"),
    ],
)
def test_doctor_tells_what_plan_and_key_allow(
    tmp_path: Path, plan: str, role: str, words: str
) -> None:
    with Sandbox(key=KEY) as sandbox:
        sandbox.add_key(KEY, role=role)
        sandbox.plan_name = plan
        told = [
            found.finding for found in check_api(patient_of(Station(tmp_path, sandbox.base_url)))
        ]

    assert [finding for finding in told if words in finding], told


def test_doctor_tells_of_a_key_that_is_bound_to_a_domain(tmp_path: Path) -> None:
    with Sandbox(key=KEY) as sandbox:
        sandbox.allowed_domain = "gym.example"
        bare = check_api(patient_of(Station(tmp_path / "a", sandbox.base_url)))
        named = Station(
            tmp_path / "b", sandbox.base_url, {"api": {"origin": "https://gym.example"}}
        )
        bound = check_api(patient_of(named))

    assert [found for found in bare if "api.origin" in str(found.remedy)]
    assert [found for found in bound if "acts for all athletes" in found.finding]

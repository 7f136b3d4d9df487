"""What `spotter status` says of the line: backlog, speed, hours, and when all will be sent."""

import json
from pathlib import Path

import pytest

from agent.bandwidth_schedule import parse_timetable
from agent.cli.status import line_lines
from agent.clock import LocalTime, iso_utc, seconds_of
from agent.delivery.scheduling import Goodput, all_sent_at, read_uplink_status
from agent.outbox.entries import AttemptEnd, Backlog, UncertainClip
from agent.outbox.models import Entry
from agent.outbox.outbox import Outbox
from agent.outbox.states import EntryState
from tests.factories import NOW_S, ready_entry
from tests.station import Station

NO_API = "http://127.0.0.1:9"


def test_the_time_until_all_is_sent_counts_bytes_and_answers() -> None:
    plan = parse_timetable("")
    goodput = Goodput(bytes_s=100_000, overhead_s=2.0)

    sent_at = all_sent_at(Backlog(clips=5, size_bytes=1_000_000), goodput, plan, now_s=NOW_S)

    assert sent_at == pytest.approx(NOW_S + 20)
    assert all_sent_at(Backlog(clips=0, size_bytes=0), None, plan, now_s=NOW_S) == NOW_S
    assert all_sent_at(Backlog(clips=1, size_bytes=1), None, plan, now_s=NOW_S) is None


def test_status_tells_backlog_speed_and_upload_hours(tmp_path: Path) -> None:
    station = Station(tmp_path, NO_API, {"delivery": {"schedule": "daily = 800kbit/s"}})
    station.spotter("status")  # makes the outbox
    with Outbox.open(station.state) as outbox:
        for number in (1, 2, 3):
            entry = ready_entry(outbox, number)
        a_sending(outbox, entry)

    status = json.loads(station.spotter("status", "--json"))
    line = status["delivery"]
    told = station.spotter("status")
    here = LocalTime(seconds_of(status["at"]))

    assert line["backlog"] == {"clips": 3, "bytes": 1500}
    assert (line["goodput_bytes_s"], line["until_sent_s"]) == (200_000, 3)
    assert line["hours"] == {
        "schedule": "daily = 800kbit/s",
        "open": True,
        "cap_bytes_s": 100_000,
        "changes_at": None,
        "opens_at": None,
    }
    assert "3 clips, 2 kB: when the daemon runs" in told and "limited to" in told
    assert "done in about 3 s" in dict(line_lines({**status, "running": True}, here))["to upload"]
    paused = {**status, "running": True, "api": {"paused": "network"}}
    assert "when uploads are enabled again" in dict(line_lines(paused, here))["to upload"]


def a_sending(outbox: Outbox, entry: Entry) -> Entry:
    """Let a clip go out at 200 kB a second; it stays `uploading`."""
    claimed = outbox.entries.claim(entry, now_s=NOW_S)
    assert claimed is not None
    end = AttemptEnd(
        outcome="uploaded", seconds=11.0, size_bytes=2_000_000, sending_s=10.0, throttled_s=0.0
    )
    outbox.attempts.end(claimed[1], end)
    return claimed[0]


def test_status_tells_of_the_first_lost_answer_that_holds_everything(tmp_path: Path) -> None:
    with Outbox.open(tmp_path) as outbox:
        first = a_sending(outbox, ready_entry(outbox, 1))
        ready_entry(outbox, 2)
        outbox.entries.move(
            first, EntryState.UNCERTAIN, now_s=NOW_S, changes={"due_at": NOW_S + 90}
        )
        held = read_uplink_status(outbox, schedule="", now_s=NOW_S)
        outbox.entries.adopt_session(first.id, session_id="abcd", server_title="x", now_s=NOW_S)
        open_again = read_uplink_status(outbox, schedule="", now_s=NOW_S)

    assert (held.unsettled, held.sent_at) == (UncertainClip(first.name, NOW_S + 90), None)
    assert open_again.unsettled is None and open_again.sent_at is not None
    document = {
        "running": True,
        "api": {"paused": None},
        "delivery": {
            "backlog": {"clips": 2, "bytes": 1000},
            "unknown_first": {"id": "e1", "looked_for_at": iso_utc(NOW_S + 90)},
            "goodput_bytes_s": None,
            "hours": {"open": True, "cap_bytes_s": None, "changes_at": None},
        },
    }
    told = dict(line_lines(document, LocalTime(NOW_S)))["to upload"]
    assert told.startswith("2 clips, 1 kB: after e1 has been looked up at the API")


def test_what_counts_down_or_backs_off_is_not_sent_before(tmp_path: Path) -> None:
    with Outbox.open(tmp_path) as outbox:
        a_sending(outbox, ready_entry(outbox, 1))
        ready_entry(outbox, 2, due_at=NOW_S + 600)

        line = read_uplink_status(outbox, schedule="", now_s=NOW_S)

    assert line.sent_at is not None and line.sent_at >= NOW_S + 600


def test_status_tells_when_uploads_open_again(tmp_path: Path) -> None:
    station = Station(
        tmp_path,
        NO_API,
        {"delivery": {"schedule": "Mon 00:00-00:01 = unlimited, else off"}},
    )

    told = station.spotter("status")
    hours = json.loads(station.spotter("status", "--json"))["delivery"]["hours"]

    if not hours["open"]:  # but for one minute of the week
        assert hours["opens_at"] == hours["changes_at"] is not None
        assert "uploads PAUSED until Mon 00:00" in told
    assert "not measured yet" in told

"""What `spotter status` names for a person: what was set aside, and what the API fails on."""

import contextlib
import json
from pathlib import Path

import pytest

from agent.cli.status import attention_documents, attention_lines
from agent.doctor.recordings import judge_failing
from agent.outbox.outbox import Outbox
from agent.outbox.states import CaptureState, Reason
from agent.station.status import needs_person
from agent.web.server import listen_on
from tests.factories import NOW_S, admitted, ready_entry
from tests.served_page import free_port
from tests.station import Station, until


def test_what_was_set_aside_and_what_the_api_fails_on_are_named_in_a_line_each(
    tmp_path: Path,
) -> None:
    with Outbox.open(tmp_path) as outbox:
        assert attention_lines(attention_documents(outbox)) == []
        for number in range(1, 6):
            capture = admitted(outbox, number)
            torn = Reason.CAPTURE_DAMAGED
            outbox.captures.move(capture, CaptureState.QUARANTINED, now_s=NOW_S, reason=torn)
        entry = ready_entry(outbox, 9)
        ready_entry(outbox, 10)
        outbox.database.change(
            "UPDATE entry SET reason = 'fails_at_server' WHERE id = ?", (entry.id,)
        )

        documents = attention_documents(outbox)

    (label, aside), (_, failing) = attention_lines(documents)
    assert label == "quarantined"  # for whatever reason: a recording is not always unreadable
    assert aside.startswith("c5 set-5.mp4 (capture_damaged), c4 set-4.mp4")
    assert "and 2 more" in aside and "spotter show" in aside
    assert failing.startswith("e1: retried once a day")
    (found,) = judge_failing(["e1"])
    assert "1 clip, as e1" in found.finding and "spotter show e1" in str(found.remedy)
    assert judge_failing([]) == []


def test_captures_are_listed_in_the_order_in_which_they_came(tmp_path: Path) -> None:
    with Outbox.open(tmp_path) as outbox:
        for number in range(1, 12):
            admitted(outbox, number)
        listed = [row["id"] for row in outbox.listing.rows()]

    assert listed == [f"c{number}" for number in range(1, 12)]


def test_what_is_set_aside_is_not_always_unreadable() -> None:
    (need,) = needs_person({"captures": {"quarantined": 2}, "entries": {}})

    assert need.text == "2 recordings are quarantined"


def status_of_page(station: Station) -> dict[str, object]:
    """The part of the status about the page."""
    page = json.loads(station.spotter("status", "--json"))["page"]
    assert isinstance(page, dict)
    return page


def test_a_page_whose_port_is_taken_is_named_with_what_to_do(tmp_path: Path) -> None:
    listen = f"127.0.0.1:{free_port()}"
    station = Station(tmp_path, "http://127.0.0.1:9", settings={"web": {"listen": listen}})

    with contextlib.closing(listen_on(listen)), station.running():
        until(lambda: status_of_page(station)["reason"])

        document = json.loads(station.spotter("status", "--json"))
        told = [line for line in station.spotter("status").splitlines() if "page is" in line]

    assert document["page"] == {
        "listen": listen,
        "open": False,
        "reason": "port_taken",
        "detail": f"{listen}: Address already in use",
    }
    (need,) = [need for need in document["needs_you"] if need["what"] == "page"]
    assert told[0].endswith(f"{need['told']} ({need['do']})")
    assert len(told) == 1 and "another web.listen" in told[0]
    stopped = status_of_page(station)
    assert (stopped["open"], stopped["reason"]) == (False, None)


@pytest.mark.parametrize(
    ("web", "told", "remedy"),
    [
        ({"listen": "192.0.2.7:8377", "pin": "482913"}, "assign", "an address of this box"),
        ({"tls": "given", "tls_cert": "none.pem", "tls_key": "none.key"}, "none.", "journalctl"),
    ],
    ids=["address", "certificate"],
)
def test_a_page_that_cannot_start_is_named_too(
    tmp_path: Path, web: dict[str, object], told: str, remedy: str
) -> None:
    given = {"listen": f"127.0.0.1:{free_port()}", "tls": "off", **web}
    station = Station(tmp_path, "http://127.0.0.1:9", settings={"web": given})

    with station.running():
        until(lambda: status_of_page(station)["reason"])
        needs = json.loads(station.spotter("status", "--json"))["needs_you"]

    (need,) = [need for need in needs if need["what"] == "page"]
    assert "not open" in need["told"] and told in need["told"] and remedy in need["do"]


def test_a_key_file_that_holds_more_than_the_key_is_named(tmp_path: Path) -> None:
    station = Station(tmp_path, "http://127.0.0.1:9")
    station.key_file.write_text("sk-first\nsk-second\n")
    words = f"2 lines in {station.key_file}, which must hold the API key alone"

    with station.running():
        until(lambda: words in station.spotter("status"))
        (need,) = json.loads(station.spotter("status", "--json"))["needs_you"]
        refused = station.spotter("athletes", "--sync", code=1)

    assert need["what"] == "key" and need["told"] == f"{words}; uploads are paused"
    assert words in refused
    told = station.log.read_text()
    assert words in told and "sk-first" not in told and "sk-second" not in told

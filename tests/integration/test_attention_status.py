"""What `spotter status` names for a person: what was set aside, and what the API fails on."""

from pathlib import Path

from agent.cli.status import attention_documents, attention_lines
from agent.doctor.recordings import judge_failing
from agent.outbox.outbox import Outbox
from agent.outbox.states import CaptureState, Reason
from agent.station.status import needs_person
from tests.factories import NOW_S, admitted, ready_entry


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

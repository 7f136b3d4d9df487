"""Whatever a person says of a clip while it is being sent: it is sent once, to its athlete."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.sandbox.server import Sandbox
from tests.station import ATHLETE, Station, delivered, give, until

OTHER = ("--user-id", "athlete-0002")
WORDS = (
    ("outbox", "discard", "e1"),
    ("outbox", "discard", "c1"),
    ("outbox", "hold", "e1"),
    ("outbox", "give", "e1", *OTHER),
    ("outbox", "release", "e1", *OTHER),
    ("outbox", "resend", "e1", *OTHER),
    ("reanalyse", "c1"),
    ("takes", "add", "c1", "1", "2"),
    ("undo",),
)


@pytest.fixture
def patient(tmp_path: Path, sandbox: Sandbox) -> Iterator[Station]:
    """A station whose second look comes when it is asked for."""
    yield Station(tmp_path, sandbox.base_url, {"delivery": {"reconcile_wait_s": 600}})


def say_everything(station: Station) -> None:
    for words in WORDS:
        done = give([*words, "--config", str(station.config)])
        assert done.returncode in {1, 75}, (words, done.stdout, done.stderr)
        assert "Traceback" not in done.stderr


def check(station: Station, sandbox: Sandbox) -> None:
    until(lambda: station.states() == ["uploaded"])
    assert [session.user_id for session in sandbox.book.sessions] == [ATHLETE]
    (entry,) = station.entries()
    assert (entry["user_id"], entry["session_id"]) == (ATHLETE, sandbox.book.sessions[0].session_id)


def test_while_its_body_is_under_way(patient: Station, sandbox: Sandbox) -> None:
    sandbox.add_fault("stall:at=50")
    patient.put_clip(size_bytes=40_000_000)  # the half that is not read fits into no buffer
    with patient.running():
        until(lambda: patient.states() == ["uploading"])
        say_everything(patient)
        patient.spotter("assign", *OTHER[1:])
        assert patient.states() == ["uploading"]
        sandbox.go_away()
        sandbox.come_back()
        check(patient, sandbox)


def test_while_its_outcome_is_unknown(patient: Station, sandbox: Sandbox) -> None:
    sandbox.add_fault("lost-answer")
    sandbox.add_fault("hide-list")
    sandbox.add_fault("blind-filter")
    patient.put_clip()
    with patient.running():
        assert delivered(sandbox, 1)
        until(lambda: patient.states() == ["uncertain"])
        say_everything(patient)
        patient.spotter("assign", *OTHER[1:])
        patient.spotter("outbox", "retry", "e1")
        check(patient, sandbox)

"""docs/notifications.md tells the truth: every example is what is sent, the recipe verifies it."""

import json
import re
from collections.abc import Iterator
from dataclasses import replace

import pytest

from agent.notifications.message import (
    TEST,
    UPDATE_REVERTED,
    Notice,
    notice_of,
    reverted_notice,
    station_notice,
    trial_notice,
)
from agent.notifications.webhook import ID, SIGNATURE, TIMESTAMP, signed_headers, signing_key
from agent.outbox.entries import EventKind
from agent.outbox.queries import FeedEvent
from agent.outbox.states import EntryState
from agent.settings.model import EVENTS
from agent.station.camera import Camera, CameraState
from tests.conftest import REPOSITORY
from tests.factories import an_entry
from tests.unit.notifications.test_station_report import QUIET

PAGE = (REPOSITORY / "docs" / "notifications.md").read_text()
AT = 1_795_001_234.5
STATION = "platform-3"
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

ENTRY = replace(
    an_entry(),
    user_id="someUserId123",
    activity="weightlifting",
    exercise="snatch",
    barbell_mass_kg=62.5,
    filmed_at=AT - 60,
    clip_seconds=7.4,
    session_id="9f2c41d07be3a586",
    title="[k3x9q2m4pd] snatch 62.5kg 2026-11-18 11:26",
)
CHANGES: dict[str, tuple[str, str | None, str | None]] = {
    "take.ready": ("ready", None, None),
    "take.held": ("held", None, "unassigned"),
    "take.refused": ("dead", "uploading", "http_400"),
    "take.delivered": ("uploaded", "uploading", None),
    "session.completed": ("completed", "uploaded", None),
}
NUMBERS = {"metrics.peak_velocity": 1.92, "metrics.bar_path.height": 1.31}


def notices() -> Iterator[Notice]:
    for state, before, reason in CHANGES.values():
        change = FeedEvent(
            event_id=1, at=AT, state=state, before=before, reason=reason, entry=ENTRY
        )
        yield notice_of(change, station=STATION, numbers=NUMBERS)
    standing = replace(
        QUIET,
        facts=replace(
            QUIET.facts,
            is_filming=True,
            clips_waiting=2,
            held=1,
            sent=14,
            camera=Camera(state=CameraState.RECORDING, last_at=AT - 1),
        ),
        backlog_bytes=9_400_000,
        last_delivered_at=AT - 300,
    )
    yield station_notice(standing.document(), station=STATION, at=AT)
    missed = FeedEvent(
        event_id=1,
        at=AT,
        state="not_seen",
        before="uploaded",
        reason=None,
        entry=replace(ENTRY, state=EntryState.UPLOADED),
        what=EventKind.FOLLOW_UP,
    )
    yield notice_of(missed, station=STATION, numbers={})
    yield trial_notice(station=STATION, at=AT)
    yield reverted_notice(
        "0.1.0", "0.2.0", "these checks fail: station.toml: page", station=STATION, at=AT
    )


@pytest.mark.parametrize("notice", list(notices()), ids=lambda notice: str(notice.event))
def test_the_example_of_each_event_is_what_is_sent(notice: Notice) -> None:
    examples = [json.loads(block) for block in re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)]

    (example,) = [found for found in examples if found["event"] == notice.event]

    assert example == json.loads(notice.body)


def test_every_event_and_every_field_is_explained() -> None:
    explained = set(re.findall(r"^\| `([a-z_.]+)`", PAGE, re.MULTILINE))
    fields = {name for notice in notices() for name in json.loads(notice.body)}

    assert set(CHANGES) | {"session.failed", "station.state"} == set(EVENTS)
    assert set(EVENTS) | {TEST, UPDATE_REVERTED} | fields <= explained


def test_the_recipe_verifies_what_is_sent_and_nothing_else() -> None:
    (recipe,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    names: dict[str, object] = {}
    exec(recipe, names)  # noqa: S102  # our own page
    verify = names["is_from_spotter"]
    assert callable(verify)
    notice = next(notices())
    body = notice.body
    headers = signed_headers(notice.id, body, key=signing_key(SECRET), now_s=AT)

    assert verify(SECRET, headers, body, now_s=AT + 10)
    assert verify(SECRET, {name.title(): told for name, told in headers.items()}, body, now_s=AT)
    assert not verify(SECRET, headers, body, now_s=AT + 3600)  # somebody sends it again
    assert not verify(SECRET, headers, body + b" ", now_s=AT)
    assert not verify("whsec_" + "A" * 32, headers, body, now_s=AT)
    assert not verify(SECRET, {**headers, ID: "another"}, body, now_s=AT)
    for name in headers:
        assert not verify(SECRET, {**headers, name: "nonsense \u00b2 \xff"}, body, now_s=AT)
        assert not verify(SECRET, {**headers, name: ""}, body, now_s=AT)
    assert {f"| `{name}` |" for name in (ID, TIMESTAMP, SIGNATURE)} <= {
        line[: line.index("|", 1) + 1] for line in PAGE.splitlines() if line.startswith("| `")
    }

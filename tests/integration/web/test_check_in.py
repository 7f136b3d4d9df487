"""Card readers and the page: taps by a token, cards that are linked, groups that are edited."""

import json
import os
import secrets
import stat
import struct
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from agent.buttons import ButtonAction, parse_buttons
from agent.card_reader import CardSender, decode_events, own_page, read_device
from agent.clock import read_clock
from agent.errors import RequestError, UnreachableError
from agent.outbox.devices import Role
from agent.station.assignments import assign_nobody, set_rotate, station_rules
from agent.station.attribution import present_of
from agent.station.check_in import (
    CheckIn,
    find_group,
    group_of,
    queue_group,
    remove_group,
    set_group,
)
from agent.station.recording_pause import start_filming
from agent.station.roster import NamedAthlete, take_over
from agent.web.auth import LoginSession, TapGuard
from tests.served_page import ServedPage, free_port, page_settings, served_page

TOKEN = secrets.token_urlsafe(24)


@pytest.fixture(scope="module")
def reader_page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedPage]:
    """A page with a token for readers, and two athletes."""
    root = tmp_path_factory.mktemp("page")
    (root / "token").write_text(f"{TOKEN}\n")
    web = {"tap_token_file": str(root / "token")}
    with served_page(page_settings(root, web=web)) as served:
        known = [NamedAthlete("ada", "Ada <b>"), NamedAthlete("ben", "Ben")]
        take_over(served.outbox, known, complete=True, now_s=read_clock().utc_s)
        yield served


def tap(page: ServedPage, card: str, token: str = TOKEN, **headers: str) -> httpx.Response:
    """Ask as a reader does: no origin, no cookie."""
    bearer = {"authorization": f"Bearer {token}"} if token else {}
    with httpx.Client(base_url=page.origin, timeout=20) as reader:
        return reader.post("/api/tap", data={"card": card}, headers={**bearer, **headers})


def test_a_card_is_linked_on_the_page_and_puts_its_athlete_on(reader_page: ServedPage) -> None:
    page = reader_page
    unknown = tap(page, "card-0001")
    assert (unknown.status_code, unknown.json()["result"]) == (404, "unknown")
    waits = page.outbox.switches.get("unknown_card")
    assert waits is not None and "card-0001" not in waits
    with page.client(page.session()) as coach:
        digest = json.loads(waits)["digest"]
        form = {"card": digest, "key": "ada"}
        assert coach.post("/cards/link", data={**form, "card": "f" * 64}).status_code == 409
        assert "Tap it again" in coach.post("/cards/link", data=form).json()["say"]

        answers = [tap(page, "card-0001"), tap(page, "card-0001")]

        assert [one.status_code for one in answers] == [200, 200]
        assert answers[0].json() == {
            "result": "assigned",
            "say": "Ada <b> is on the station.",
            "athlete": "ada",
        }
        assert answers[1].json()["result"] == "kept"
        assert coach.post("/cards/unlink", data={"card": digest}).status_code == 200
        assert tap(page, "card-0001").status_code == 404
        assert coach.post("/cards/dismiss").status_code == 200


def test_only_a_reader_may_tap_and_every_answer_is_json(reader_page: ServedPage) -> None:
    page = reader_page
    assert tap(page, "card-0001", token="").status_code == 403, "neither origin nor token"
    with page.client(page.session()) as coach:
        assert coach.post("/api/tap", data={"card": "card-0001"}).status_code == 401
    assert tap(page, "card-0001", token="wrong-" + TOKEN).json()["result"] == "rejected"
    assert tap(page, "card-0001", origin="http://evil.example").status_code == 403
    for body, status in (({"card": "abc"}, 422), ({}, 422), ({"card": "card-01", "x": "1"}, 422)):
        with httpx.Client(base_url=page.origin) as reader:
            headers = {"authorization": f"Bearer {TOKEN}"}
            answer = reader.post("/api/tap", data=body, headers=headers)
            assert answer.status_code == status and answer.json()["say"]
            text = reader.post("/api/tap", content=b"{}", headers={**headers, "content-type": "x"})
            assert text.status_code == 415 and text.json()["say"]


def test_the_token_is_read_anew_and_a_short_or_missing_one_lets_nobody_in(tmp_path: Path) -> None:
    path = tmp_path / "token"
    guard = TapGuard(page_settings(tmp_path, web={"tap_token_file": str(path)}).web)
    path.write_text("short")
    assert not guard.is_reader("Bearer short", address="::1", now_s=0)
    path.unlink()
    assert not guard.is_reader("Bearer ", address="::1", now_s=0)
    path.write_text(TOKEN)
    path.chmod(stat.S_IRUSR)
    assert guard.is_reader(f"Bearer {TOKEN}", address="::1", now_s=0) is True
    assert guard.is_reader(TOKEN, address="::1", now_s=0) is True
    assert not guard.is_reader(f"Bearer {TOKEN}é", address="::1", now_s=0)


def test_guesses_of_one_address_and_taps_of_all_are_limited(tmp_path: Path) -> None:
    guard = TapGuard(page_settings(tmp_path, web={"tap_token": TOKEN}).web)
    right = f"Bearer {TOKEN}"

    guesses = [guard.is_reader("Bearer x", address="10.0.0.9", now_s=0) for _ in range(11)]
    assert guesses[:10] == [False] * 10 and guesses[10] == 10.0
    assert guard.is_reader(right, address="10.0.0.9", now_s=1) == 9.0, "not even looked at"
    assert guard.is_reader(right, address="10.0.0.9", now_s=11) is True

    taps = [guard.is_reader(right, address="10.0.0.8", now_s=30) for _ in range(21)]
    assert taps[:20] == [True] * 20 and taps[20] == 0.5
    assert guard.is_reader(right, address="10.0.0.8", now_s=30.5) is True


def test_groups_are_edited_and_queued_on_the_page(reader_page: ServedPage) -> None:
    page = reader_page
    with page.client(page.session()) as coach:
        assert coach.post("/groups", data={"name": "U18"}).status_code == 200
        assert coach.post("/groups", data={"name": "u18"}).status_code == 409
        group = find_group(page.outbox, "U18")
        assert group is not None
        for path, key, status in (
            *(("add", "ada", 200), ("add", "ben", 200), ("add", "eve", 409)),
            *(("leave", "ada", 200), ("leave", "eve", 409)),
        ):
            answer = coach.post(f"/groups/{group.id}/{path}", data={"key": key})
            assert answer.status_code == status, (path, key)
        narrowed = coach.get("/athletes", params={"group": group.id, "q": ""}).text
        assert "Ben" in narrowed and "Ada" not in narrowed
        assert "No athletes in this group." in coach.get("/athletes?group=999").text
        assert coach.get("/athletes?group=1x").status_code == 422
        assert '<span class="name">Ben' in coach.get("/groups").text
        answer = coach.post(f"/groups/{group.id}/queue")
        assert answer.json()["say"] == "1 athlete added to the queue. Rotation on."
        assert coach.post(f"/groups/{group.id}/remove").status_code == 200
        assert coach.post(f"/groups/{group.id}/queue").status_code == 409


def typed(text: str) -> bytes:
    """What the system tells of a reader that types a number and Enter."""
    codes = [*("1234567890".index(sign) + 2 for sign in text), 28]
    return b"".join(struct.pack("@llHHi", 1, 0, 1, code, down) for code in codes for down in (1, 0))


def test_a_reader_that_types_checks_an_athlete_in(reader_page: ServedPage, tmp_path: Path) -> None:
    page = reader_page
    CheckIn(page.outbox, page.folder).link("0004512345", "ben", now_s=read_clock().utc_s)
    device = tmp_path / "event0"
    device.write_bytes(typed("0004512345") + typed("77"))
    sender = CardSender(own_page(page.settings.web), TOKEN)

    with device.open("rb", buffering=0) as opened:
        assert [sender.send(card) for card in decode_events(opened)] == ["assigned", "rejected"]

    with pytest.raises(RequestError, match="refuses the token"):
        CardSender(page.origin, "x" * 20).send("0004512345")
    rests: list[float] = []
    with pytest.raises(UnreachableError):
        CardSender(f"http://127.0.0.1:{free_port()}", TOKEN).send("77777", rest=rests.append)
    assert len(rests) == 2
    with pytest.raises(RequestError, match="cannot read"):
        list(read_device(tmp_path / "none"))


def test_what_is_no_input_device_is_not_read(tmp_path: Path) -> None:
    plain, pipe = tmp_path / "event0", tmp_path / "pipe"
    plain.write_bytes(typed("0004512345"))
    os.mkfifo(pipe)  # it would be waited at for ever
    for device in (plain, pipe, tmp_path, Path(os.devnull)):
        with pytest.raises(RequestError, match=f"{device} is not an input device") as caught:
            list(read_device(device))
        assert caught.value.hint and "/dev/input/by-id" in caught.value.hint


def test_a_pedal_lets_the_next_one_on_and_stops_recording(
    reader_page: ServedPage, tmp_path: Path
) -> None:
    page, now_s = reader_page, read_clock().utc_s
    page.outbox.queue.clear()
    assign_nobody(page.outbox, now=read_clock(), set_by="test")
    set_group(page.outbox, "Pedal", ["ada", "ben"], now_s=now_s)
    queue_group(
        page.outbox,
        group_of(page.outbox, "Pedal").id,
        rules=station_rules(page.settings),
        now=read_clock(),
    )
    codes = (109, 109, 48, 183)  # pagedown that bounces, b, f13
    events = b"".join(
        struct.pack("@llHHi", 1, 0, 1, code, down) for code in codes for down in (1, 0)
    )
    device = tmp_path / "event1"
    device.write_bytes(events)
    sender = CardSender(own_page(page.settings.web), TOKEN)
    buttons = parse_buttons(["PageDown = next", "b = done", "f13 = stop"])

    told, kept = [], []
    with device.open("rb", buffering=0) as opened:
        for read in decode_events(opened, buttons):
            told.append(sender.send(read))
            kept.append(present_of(page.outbox, now=read_clock()).at(read_clock()).assignment)

    assert told == ["next", "done", "stop"]
    assert kept[0] is not None and kept[0].user_id == "ada" and kept[1] is None
    assert present_of(page.outbox, now=read_clock()).filming_stopped_at(read_clock()) is not None
    start_filming(page.outbox, now=read_clock(), set_by="test")
    page.outbox.queue.clear()
    set_rotate(page.outbox, on=False)
    assert sender.send(ButtonAction.NEXT) == "refused"  # nobody waits
    with pytest.raises(RequestError, match="refuses the token"):
        CardSender(page.origin, "x" * 20).send(ButtonAction.STOP)


def test_at_a_kiosk_the_athletes_of_its_group_start_and_nobody_else(
    reader_page: ServedPage,
) -> None:
    page, now_s = reader_page, read_clock().utc_s
    group = set_group(page.outbox, "Class", ["ben"], now_s=now_s)
    assign_nobody(page.outbox, now=read_clock(), set_by="test")
    token = {"role": Role.KIOSK, "name": "", "now_s": now_s, "lasts_s": 60.0}
    page.outbox.devices.offer("a-kiosk", group_id=group.id, **token)  # type: ignore[arg-type]  # as each is
    assert page.outbox.devices.pair("a-kiosk", device_id="kiosk2", now_s=now_s) is not None
    session = LoginSession(device_id="kiosk2", role=Role.KIOSK, issued_at=int(now_s))
    with page.client(session) as kiosk:
        shown = kiosk.get("/kiosk").text
        assert "Class" in shown and "Ben" in shown and "Ada" not in shown

        assert kiosk.post("/kiosk", data={"key": "ada"}).status_code == 409
        assert "Ben" in kiosk.post("/kiosk", data={"key": "ben"}).json()["say"]

        assert page.outbox.assignments.all()[-1].set_by == "kiosk"
        assert 'aria-current="true"' in kiosk.get("/kiosk").text
        assert kiosk.get("/", headers={"accept": "text/html"}).headers["location"] == "/kiosk"
        remove_group(page.outbox, group.id, now_s=now_s)
        assert "Ben" not in kiosk.get("/kiosk").text
        assert kiosk.post("/kiosk", data={"key": "ben"}).status_code == 409

"""The sandbox is strict about the contract: a fake must be able to refuse."""

import hashlib
import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from agent.sandbox.account import Request
from agent.sandbox.server import Sandbox
from tests.station import ATHLETE, KEY, until

VIDEO = b"v" * 1000
RUNNING = "/running/management/sessions/"


@pytest.fixture
def http(sandbox: Sandbox) -> Iterator[httpx.Client]:
    """A client with an admin's key."""
    headers = {"Authorization": f"API-KEY {KEY}"}
    with httpx.Client(base_url=sandbox.base_url, headers=headers) as client:
        yield client


def post(
    http: httpx.Client, path: str = RUNNING, *, name: str = "a.mp4", **fields: str
) -> httpx.Response:
    return http.post(path, data=fields, files={"video": (name, VIDEO)})


def test_an_upload_makes_a_session_that_can_be_found(http: httpx.Client, sandbox: Sandbox) -> None:
    answer = post(http, user_id=ATHLETE, session_name="[abc] running")

    assert answer.status_code == 200
    session_id = answer.json()["session_id"]
    assert answer.json() == {"session_id": session_id, "title": "[abc] running"}
    (session,) = sandbox.book.sessions
    assert session.video_sha256 == hashlib.sha256(VIDEO).hexdigest()
    assert (session.video_bytes, session.endpoint) == (1000, "management")
    listed = http.get("/session-management/sessions/").json()["sessions"][session_id]
    assert listed["title"] == "[abc] running"
    assert set(listed["created_at"]) == {"date", "time"}
    assert httpx.get(listed["analyzed_video_url"]).content == VIDEO


@pytest.mark.parametrize("path", ["/session-management/sessions/", "/nowhere/"])
def test_a_request_is_in_the_log_when_its_answer_is_there(
    http: httpx.Client, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    note = sandbox.book.note

    def note_late(request: Request) -> None:
        time.sleep(0.2)  # a busy machine
        note(request)

    monkeypatch.setattr(sandbox.book, "note", note_late)

    answer = http.get(path)

    (request,) = sandbox.book.requests
    assert (request.path, request.status) == (path, answer.status_code)
    assert request.sent_bytes == len(answer.content)


@pytest.mark.parametrize(
    ("path", "fields", "status", "words"),
    [
        (RUNNING, {}, 400, "user_id is required"),
        (RUNNING, {"user_id": "nobody"}, 403, "no such user"),
        (RUNNING, {"user_id": ATHLETE, "exercise_name": "snatch"}, 400, "unknown field"),
        (RUNNING, {"user_id": ATHLETE, "incline_degree": "steep"}, 400, "must be a number"),
        ("/running/sessions/", {"user_id": ATHLETE}, 400, "unknown field user_id"),
        ("/weightlifting/sessions/", {}, 400, "exercise_name must be one of"),
        ("/weightlifting/sessions/", {"exercise_name": "squat"}, 400, "exercise_name must be"),
        (
            "/weightlifting/sessions/",
            {"exercise_name": "snatch", "barbell_mass": "x"},
            400,
            "must be a number",
        ),
        ("/jumping/sessions/", {"exercise": "High Jump"}, 400, "exercise must be one of"),
        ("/swimming/sessions/", {}, 404, "no such address"),
    ],
)
def test_what_breaks_the_contract_is_refused(
    http: httpx.Client,
    sandbox: Sandbox,
    path: str,
    fields: dict[str, str],
    status: int,
    words: str,
) -> None:
    answer = post(http, path, **fields)

    assert answer.status_code == status
    assert words in answer.json()["error"]
    assert sandbox.book.sessions == []


def test_a_form_without_a_video_is_refused(http: httpx.Client) -> None:
    for files in ({"video": ("", VIDEO)}, {"video": ("a.mp4", b"")}, {"other": ("a.mp4", VIDEO)}):
        answer = http.post("/running/sessions/", data={"session_name": "x"}, files=files)
        assert answer.status_code == 400
    assert http.post("/running/sessions/", json={}).status_code == 400


def test_keys_open_what_they_may(sandbox: Sandbox) -> None:
    sandbox.add_key("users-key", role="user", uid=ATHLETE)
    status = f"{sandbox.base_url}/user-management/organization-status/"

    assert httpx.get(status).status_code == 401
    assert httpx.get(status, headers={"API-KEY": "wrong"}).status_code == 401
    assert httpx.get(status, headers={"API-KEY": KEY}).json()["role"] == "admin"
    with httpx.Client(base_url=sandbox.base_url, headers={"API-KEY": "users-key"}) as http:
        assert http.get(status).status_code == 403
        assert http.get("/session-management/sessions/").status_code == 403
        assert http.get("/user-management/users/").status_code == 403
        assert post(http, user_id=ATHLETE).status_code == 403
        assert post(http, "/running/sessions/").status_code == 200


def test_lists_people_in_pages_and_sessions_newest_first(http: httpx.Client) -> None:
    assert http.get("/session-management/sessions/").status_code == 404
    for title in ("first", "second"):
        post(http, user_id=ATHLETE, session_name=title)

    listed = http.get("/session-management/sessions/").json()["sessions"]
    everybody = http.get("/user-management/users/").json()["users"]
    page = http.get("/user-management/users/filter/?limit=2").json()
    following = http.get(f"/user-management/users/filter/?start_after_id={page['last_uid']}").json()

    assert [session["title"] for session in listed.values()] == ["second", "first"]
    assert page["users"] + following["users"] == everybody[:7]
    assert "李小龍" in [user["display_name"] for user in everybody]


def test_sessions_can_be_renamed_exported_and_deleted(http: httpx.Client, sandbox: Sandbox) -> None:
    session_id = post(http, user_id=ATHLETE).json()["session_id"]
    address = f"/session-management/sessions/{session_id}"

    assert http.put(address, json={}).status_code == 400
    assert http.put(address, json={"created_at": "24/11/2026"}).status_code == 400
    changes = {"title": "new", "created_at": "2026-11-24 09:30:00"}
    assert set(http.put(address, json=changes).json()) == {"success"}
    listed = http.get("/session-management/sessions/").json()["sessions"][session_id]
    assert listed["created_at"] == {"date": "24/11/2026", "time": "09:30 AM"}
    assert http.get(f"/running/sessions/{session_id}/").json()["title"] == "new"
    assert http.get(f"/jumping/sessions/{session_id}/").status_code == 404
    assert "metrics" in http.get(f"/running/sessions/{session_id}/export/").json()
    assert set(http.delete(address).json()) == {"success"}
    assert http.delete(address).status_code == 404
    assert http.get(f"/running/sessions/{session_id}/").status_code == 404
    assert sandbox.book.sessions == []


def test_the_analysed_video_takes_its_time(tmp_path: Path) -> None:
    with (
        Sandbox(key=KEY, processing_s=3600, keep_dir=tmp_path) as sandbox,
        httpx.Client(base_url=sandbox.base_url, headers={"API-KEY": KEY}) as http,
    ):
        session_id = post(http, user_id=ATHLETE).json()["session_id"]
        assert http.get(f"/running/sessions/{session_id}/").json()["analyzed_video_url"] == ""
    assert (tmp_path / f"{session_id}.mp4").read_bytes() == VIDEO


def test_eight_uploads_at_once_are_eight_sessions(http: httpx.Client, sandbox: Sandbox) -> None:
    threads = [
        threading.Thread(target=post, args=(http,), kwargs={"user_id": ATHLETE}) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len({session.session_id for session in sandbox.book.sessions}) == 8


def test_a_lost_answer_leaves_a_session_behind(http: httpx.Client, sandbox: Sandbox) -> None:
    sandbox.add_fault("lost-answer")

    with pytest.raises(httpx.RemoteProtocolError):
        post(http, user_id=ATHLETE)

    assert len(sandbox.book.sessions) == 1


def test_the_command_tells_how_to_use_it_and_ends_cleanly() -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "agent", "sandbox", "--port", "0", "--fault", "503"],
        stdout=subprocess.PIPE,
        text=True,
    ) as server:
        assert server.stdout is not None
        told = [server.stdout.readline() for _ in range(4)]
        server.terminate()
        rest = server.stdout.read()
        assert server.wait(10) == 0
    assert "sandbox API at http://127.0.0.1:" in told[0]
    assert "SPOTTER_API__BASE_URL=" in told[2]
    assert "ended: 0 sessions made" in rest


def test_a_wrong_fault_or_a_taken_port_is_one_clear_line(sandbox: Sandbox) -> None:
    for words, code in ((["--fault", "sneeze"], 2), (["--port", str(sandbox.port)], 75)):
        done = subprocess.run(
            [sys.executable, "-m", "agent", "sandbox", *words],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == code, done.stderr
        assert "Traceback" not in done.stderr


def test_the_book_can_be_waited_for(http: httpx.Client, sandbox: Sandbox) -> None:
    threading.Timer(0.05, post, args=(http,), kwargs={"user_id": ATHLETE}).start()

    assert sandbox.book.wait_for(lambda book: len(book.sessions) == 1)
    assert not sandbox.book.wait_for(lambda book: len(book.sessions) == 2, timeout_s=0.05)
    until(lambda: len(sandbox.book.requests) == 1)
    assert json.dumps(sandbox.book.requests[0].path)

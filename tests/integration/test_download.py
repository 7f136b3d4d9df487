"""`spotter session ID --download DIR`: a video is brought here, and what goes wrong is told."""

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from agent.disk.state_folder import StateFolder
from agent.outbox.outbox import Outbox
from agent.outbox.recovery import open_as_owner
from agent.outbox.results import FollowUpState, NewResult
from agent.sandbox.server import Sandbox
from tests.analysed import link_of, mp4, storage_requests
from tests.sessions import made_session
from tests.station import Station

VIDEO = mp4(500_000)


@pytest.fixture
def outbox(station: Station, sandbox: Sandbox) -> Iterator[Outbox]:
    """Two sessions: one analysed, whose link has expired, and one that is not."""
    station.state.mkdir()
    StateFolder(station.state).prepare()
    now_s = time.time()
    with open_as_owner(station.state, now_s=now_s) as opened:
        for number in (1, 2):
            made_session(opened, sandbox, number, now_s=now_s - 60)
        video = sandbox.videos / "video.mp4"
        video.write_bytes(VIDEO)
        session = sandbox.book.sessions[0]
        sandbox.book.remove(session.session_id)
        sandbox.book.add(replace(session, video_path=video))
        sandbox.link_s = -1.0
        told = NewResult(numbers={}, analysed_video_url=link_of(sandbox, session), document_bytes=0)
        sandbox.link_s = 60.0
        assert opened.results.record(1, told, now_s=now_s)
        yield opened


def download(station: Station, folder: Path, *, of: str = "e1", code: int = 0) -> str:
    told = station.spotter("session", of, "--download", str(folder), code=code)
    assert "signature" not in told and "Traceback" not in told
    return told


def test_a_video_comes_into_a_folder_and_goes_on_where_it_broke_off(
    station: Station, outbox: Outbox, sandbox: Sandbox, tmp_path: Path
) -> None:
    entry, folder = outbox.entries.by_id(1), tmp_path / "new" / "videos"
    assert entry is not None
    sandbox.add_fault("cut:at=50@storage")

    told = download(station, folder, code=75)
    assert "broke off" in told and "run the same command again" in told
    download(station, folder)

    names = [f"{entry.clip_code}-{what}" for what in ("analysed.mp4", "export.json")]
    assert sorted(path.name for path in folder.iterdir()) == names
    assert (folder / names[0]).read_bytes() == VIDEO
    assert b"keypoints" in (folder / names[1]).read_bytes()
    expired, cut, rest = storage_requests(sandbox, 3)
    assert (expired.status, cut.sent_bytes + rest.sent_bytes) == (403, len(VIDEO))
    assert {request.key_form for request in (expired, cut, rest)} == {None}


def test_what_is_on_the_box_is_copied(
    station: Station, outbox: Outbox, sandbox: Sandbox, tmp_path: Path
) -> None:
    entry = outbox.entries.by_id(1)
    assert entry is not None
    StateFolder(station.state).analysed_video(entry.clip_code).write_bytes(VIDEO)
    assert outbox.videos.place(1, len(VIDEO), now_s=time.time())

    download(station, tmp_path)

    assert (tmp_path / f"{entry.clip_code}-analysed.mp4").read_bytes() == VIDEO
    assert storage_requests(sandbox, 0) == []


def test_what_cannot_be_had_says_why(
    station: Station, outbox: Outbox, sandbox: Sandbox, tmp_path: Path
) -> None:
    assert "is not complete yet" in download(station, tmp_path, of="e2", code=75)
    waiting = outbox.follow_ups.of_entry(2)
    assert waiting is not None
    failed = {"state": FollowUpState.FAILED, "detail": "no athlete", "due_at": time.time() + 600}
    assert outbox.follow_ups.note(waiting, failed, now_s=time.time())
    assert "failed at the API: no athlete" in download(station, tmp_path, of="e2", code=1)
    outbox.results.note_link(1, "https://10.0.0.1/a.mp4?signature=1", now_s=time.time())
    assert "which is private: not asked" in download(station, tmp_path, code=1)
    outbox.results.note_link(1, sandbox.storage_url + "/a.mp4?signature=1", now_s=time.time())
    sandbox.go_away()
    assert "cannot be reached" in download(station, tmp_path, code=69)
    assert not list(tmp_path.glob("*.mp4"))
    (tmp_path / "file").write_text("")
    assert "Not a directory" in download(station, tmp_path / "file" / "below", code=1)

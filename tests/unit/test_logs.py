"""Logs say what happened, not what is secret, and not the same thing for ever."""

import contextlib
import json
import os
import socket
import struct
import subprocess
import sys
from pathlib import Path

import pytest
import structlog

from agent.logs import (
    HIDDEN,
    JournalLogger,
    RepeatLimit,
    encode,
    hide_always,
    hide_secrets,
    is_ours,
    redacted,
    stamp,
)
from tests.conftest import REPOSITORY, InZone


@pytest.mark.parametrize(
    "text",
    [
        "Authorization: API-KEY s3cr3t-w0rd",
        "refused API-KEY=s3cr3t-w0rd at once",
        "GET /x?token=s3cr3t-w0rd&n=1",
        '{"api_key": "s3cr3t-w0rd"}',
        "{'Authorization': 'Bearer s3cr3t-w0rd'}",
        "rtsp://camera:s3cr3t-w0rd@10.0.0.4/stream",
        "cookie: spotter=s3cr3t-w0rd; path=/",
        "rtsp://10.0.0.5:554/user=admin&password=s3cr3t-w0rd&channel=1&stream=0.sdp: refused",
        "rtsp://10.0.0.5/user=admin_password=s3cr3t-w0rd_channel=1",
        "rtsp://10.0.0.5/admin/s3cr3t-w0rd/ch1",
        "rtsps://admin:s3cr3t/w0rd@10.0.0.5/ch1",
        "rtsp://admin:s3cr3t@w0rd@10.0.0.5/ch1",
        "rtsp://10.0.0.5/stream?pw=x@s3cr3t",
        "rtsp://:s3cr3t-w0rd@10.0.0.5",
        "RTMP://10.0.0.5/bcs/main.bcs?channel=0&user=admin&password=s3cr3t-w0rd",
        "http://10.0.0.5/videostream.cgi?user=admin&pwd=s3cr3t-w0rd",
        "http://10.0.0.5/snap.jpg?n=1&Passwd=s3cr3t-w0rd, again",
        "srt://10.0.0.5:9000?passphrase=s3cr3t-w0rd",
        "password: s3cr3t-w0rd",
    ],
)
def test_what_looks_like_a_secret_is_hidden(text: str) -> None:
    shown = redacted(text)
    assert "s3cr3t" not in shown and HIDDEN in shown


def test_what_is_known_to_be_one_is_hidden_wherever_it_stands() -> None:
    hide_always("plainly-the-key")
    hide_always("abc")  # too short to be told from words
    event = {"event": "x", "error": "no plainly-the-key here, abc", "pin": 482913, "bytes": 7}

    shown = hide_secrets(None, "info", event)

    assert shown == {"event": "x", "error": f"no {HIDDEN} here, abc", "pin": HIDDEN, "bytes": 7}


def test_plain_words_stay_as_they_are() -> None:
    text = "the API refuses the key: it is unknown; the PIN was wrong, 10.0.0.4:8377 is taken"
    assert redacted(text) == text
    addresses = (
        "GET https://api.aikynetix.app/sessions/abc/?page=2 from http://10.0.0.4:8377/take/x"
    )
    assert redacted(addresses) == addresses
    assert redacted("rtsp://kim:pass-w0rd@10.0.0.4/x") == f"rtsp://{HIDDEN}@10.0.0.4/{HIDDEN}"


def test_a_line_says_when_by_the_boxs_own_clock(in_zone: InZone) -> None:
    in_zone("NST3:30")

    assert str(stamp(None, "info", {})["timestamp"]).endswith("-03:30")


def test_repeats_are_counted_and_told_later() -> None:
    now_s = 0.0
    limit = RepeatLimit(clock=lambda: now_s)

    def passes(**event: object) -> structlog.typing.EventDict | None:
        try:
            return limit(None, "info", {"event": "wrong", **event})
        except structlog.DropEvent:
            return None

    assert sum(passes(seconds=n) is not None for n in range(100)) == 5
    assert passes(seconds=1, clip="k3x9q2m4pd") is not None  # about something else
    now_s = 61.0
    told = passes(seconds=3)
    assert told is not None and told["repeated"] == 95
    again = passes(seconds=4)
    assert again is not None and "repeated" not in again


def test_the_journal_gets_fields_and_a_line_for_people(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as journal:
        journal.bind(str(tmp_path / "journal"))
        with contextlib.closing(JournalLogger(tmp_path / "journal")) as logger:
            logger.warning(
                event="clip cleared", level="warning", clip="k3x9q2m4pd", detail="two\nlines"
            )
        told = journal.recv(65536)

    assert b"PRIORITY=4\n" in told and b"SYSLOG_IDENTIFIER=spotter\n" in told
    assert b"SPOTTER_CLIP=k3x9q2m4pd\n" in told
    assert b"SPOTTER_DETAIL\n" + struct.pack("<Q", 9) + b"two\nlines\n" in told
    assert encode({"event": "plain", "n": 1}).startswith(b"MESSAGE=plain n=1\n")


def test_without_a_journal_lines_carry_their_priority(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with contextlib.closing(JournalLogger(tmp_path / "nowhere")) as logger:
        logger.error(event="no journal", level="error", part="lane")
    assert capsys.readouterr().err == "<3>no journal part=lane\n"


def test_only_the_journals_own_stream_counts(tmp_path: Path) -> None:
    with (tmp_path / "file").open("w") as file:
        found = os.fstat(file.fileno())
        stream = f"{found.st_dev}:{found.st_ino}"
        assert is_ours({"JOURNAL_STREAM": stream}, file.fileno())
        assert not is_ours({"JOURNAL_STREAM": "1:2"}, file.fileno())
        assert not is_ours({}, file.fileno())


def test_a_process_writes_plain_lines_where_nobody_says_otherwise() -> None:
    code = (
        "from agent.logs import configure_logs; import structlog; configure_logs();"
        "structlog.get_logger(stage='x').info('hello', error='API-KEY abcdef', clip=None)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=REPOSITORY
    )
    assert "level=info stage=x event=hello" in done.stderr
    assert "abcdef" not in done.stderr and "clip" not in done.stderr
    assert json.dumps(done.stdout) == '""'


def test_lines_that_a_full_disk_refuses_change_no_exit_code() -> None:
    script = (
        "import structlog; from agent.logs import configure_logs; "
        "configure_logs(); structlog.get_logger().info('x')"
    )
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-c", script],
            stderr=full,
            cwd=REPOSITORY,
            env=environment,
            timeout=60,
            check=False,
        )
    assert done.returncode == 0

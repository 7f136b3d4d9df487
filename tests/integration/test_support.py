"""The archive for whoever helps holds what they need, and no secret, name or picture."""

import json
import re
import tarfile
from pathlib import Path

import pytest
from click.testing import CliRunner

from agent.cli.care import support
from agent.disk.state_folder import StateFolder
from agent.outbox.recovery import open_as_owner
from agent.support_bundle import Scrubber
from tests.factories import NOW_S
from tests.lived import send
from tests.station import ATHLETE, KEY, Station, run_spotter

PIN, TOKEN = "739214-pin", "metrics-tok3n"
HOOK, HOOK_SECRET, BROKER_PASSWORD = "h00k-path", "signs-the-notices-x", "br0ker-passw0rd"
CAMERA_PASSWORD = "rtsp-passw0rd"


def planted(station: Station) -> None:
    """Secrets and people wherever a station can have them."""
    folder = StateFolder(station.state)
    folder.prepare()
    with open_as_owner(folder.root, now_s=NOW_S) as outbox:
        for number, way in enumerate(("ready", "uploaded", "released", "dead"), start=1):
            send(outbox, folder, number, way)
        outbox.roster.add_guest("Zoë Żółkiewska-Smith", "zoe", now_s=NOW_S)
        outbox.lanes.update(
            station.base_url.removeprefix("http://"),
            {
                "uid": "owner-uid-77",
                "paused_reason": "network",
                "paused_detail": f"API-KEY {KEY} refused; {HOOK_SECRET} {BROKER_PASSWORD} "
                f"athlete-1 and Żółkiewska in "
                f"'Zoë lifts.MP4'; rtsp://cam:{CAMERA_PASSWORD}@10.0.0.4/",
            },
        )
        capture = outbox.captures.by_id(1)
        assert capture is not None
    (folder.pictures / "k3x9q2m4pd.jpg").write_bytes(b"\xff\xd8\xffpicture")


def test_the_archive_holds_neither_secrets_nor_names_nor_pictures(tmp_path: Path) -> None:
    (tmp_path / "pin").write_text(PIN)
    station = Station(
        tmp_path,
        "http://127.0.0.1:9",
        {
            "station": {"name": "Zoë's corner"},
            "web": {"pin_file": str(tmp_path / "pin"), "metrics_token": TOKEN},
            "webhook": {"url": f"http://127.0.0.1:9/{HOOK}", "secret": HOOK_SECRET},
            "mqtt": {"host": "127.0.0.1", "port": 9, "password": BROKER_PASSWORD},
        },
    )
    planted(station)
    out = tmp_path / "help.tar.gz"

    station.spotter("support", "--out", str(out))

    assert out.stat().st_mode & 0o777 == 0o600
    with tarfile.open(out) as archive:
        texts = {
            Path(entry.name).name: content.read().decode()
            for entry in archive.getmembers()
            if (content := archive.extractfile(entry)) is not None
        }
    whole = re.sub(r"\bathlete-[0-9a-f]{8}\b", "", "\n".join(texts.values()))  # pseudonyms
    secrets = (KEY, PIN, TOKEN, CAMERA_PASSWORD, HOOK, HOOK_SECRET, BROKER_PASSWORD)
    people = (ATHLETE, "athlete-1", "owner-uid-77", "Zoë", "Żółkiewska", "Smith", "corner")
    for word in (*secrets, *people, "set-1", "lifts", "JFIF", "picture\n"):
        assert word.casefold() not in whole.casefold(), word
    assert set(texts) >= {"doctor.json", "settings.json", "versions.json", "counts.json"}
    counts = json.loads(texts["counts.json"])
    assert counts["entries"]["dead"] == 1 and counts["lane"]["paused_reason"] == "network"
    events = [json.loads(line) for line in texts["events.jsonl"].splitlines()]
    assert any(event["word"] == "dead" for event in events)
    assert any(check["name"] == "API" for check in json.loads(texts["doctor.json"]))
    assert json.loads(texts["settings.json"])["web"]["metrics_token"] == "********"
    assert "--out" in station.spotter("support", "--out", str(out), code=1)


def test_a_station_whose_settings_are_wrong_gets_an_archive_too(tmp_path: Path) -> None:
    (tmp_path / "station.toml").write_text('[station]\nactivity = "curling"\n')
    out = tmp_path / "help.tar.gz"

    done = run_spotter(["support", "--config", str(tmp_path / "station.toml"), "--out", str(out)])

    assert done.returncode == 0, done.stderr
    with tarfile.open(out) as archive:
        assert "spotter-support/doctor.json" in archive.getnames()


def test_who_may_not_read_the_journal_is_told_that_it_is_left_out(
    station: Station, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on a box with systemd, for a member of the group spotter alone."""
    out = tmp_path / "archive.tar.gz"
    words = ["--config", str(station.config), "--out"]
    monkeypatch.setattr("agent.cli.care.SYSTEMD", tmp_path)
    monkeypatch.setattr("agent.cli.care.journal_lines", lambda unit: [])  # noqa: ARG005  # as it is called
    told = CliRunner().invoke(support, [*words, str(out)])
    assert "The service's log is missing" in told.output and "sudo spotter support" in told.output

    monkeypatch.setattr("agent.cli.care.journal_lines", lambda unit: ["a line"])  # noqa: ARG005  # as it is called
    told = CliRunner().invoke(support, [*words, f"{out}-2"])
    assert told.exit_code == 0 and "Without" not in told.output


def test_pseudonyms_hold_within_an_archive_and_in_no_other() -> None:
    first, other = (Scrubber(user_ids=["u 1", "ada.x@gym"], names=["Ada"]) for _ in range(2))

    told = first.scrub("ada.x@gym. then u 1, ADA and adamant; ada.x@gym")

    assert told.count(first.scrub("ada.x@gym")) == 2 and "adamant" in told
    assert "NAME" in told and "u 1" not in told
    assert first.scrub("u 1") != other.scrub("u 1")


def test_logs_tell_one_clips_story(station: Station) -> None:
    planted(station)

    told = json.loads(station.spotter("logs", "e2", "--json"))
    recent = station.spotter("logs")

    whats = [line["what"] for line in told[0]["story"]]
    assert told[0]["of"] == "e2" and any("uploaded" in what for what in whats)
    assert "e4 rejected by the API: http_400" in recent
    assert "no recording, clip, session or athlete" in station.spotter("logs", "zzzzzzzzzz", code=1)


SAID = (  # what an API may write into an error, and what of it must not get out
    ("user jane.doe+gym@mail.example.com. is unknown", ("jane", "example.com")),
    ("call +49 170 1234567, or 0170/1234567, or (555) 123-4567", ("1234567", "123-4567", "170")),
    ("key sk_live_51H8xKq2eZvKYlo2 has expired", ("51H8xKq2",)),
    ("API key 'a8f3c2e19b7d' is no key", ("a8f3c2e1",)),
    ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl expired", ("eyJ", "c2lnbmF0")),
    ("see https://files.example.com/v.bin?X-Sig=9f8e7d6c&user=7 for it", ("9f8e7d6c", "user=7")),
)


@pytest.mark.parametrize(("words", "hidden"), SAID)
def test_what_the_api_says_of_people_and_keys_stays_here(
    words: str, hidden: tuple[str, ...]
) -> None:
    told = Scrubber(user_ids=["ada.x@gym"], names=["Ada"]).scrub(f"HTTP 400: {words}")
    assert not [word for word in hidden if word in told], told
    assert told.startswith("HTTP 400: ")


@pytest.mark.parametrize(
    "words",
    [
        "2026-11-27T15:18:48+0000 box spotter[2387]: e4 k3x9q2m4pd bytes=1234567890 port 8377",
        "key_cannot_send_for_others; spotter@platform-3.service; 192.168.178.21; pip 24.0",
        "sudo systemctl restart spotter (or spotter@NAME); api.key_file; 0.375 s; 10:30-11:00",
        "https://api.example.com/v1/sessions answered 503 after 120.25 s at 1764256728",
        "the key is missing; sha256 " + "0a" * 32,
    ],
)
def test_what_helps_stays_in_the_archive(words: str) -> None:
    assert Scrubber(user_ids=[], names=[]).scrub(words) == words

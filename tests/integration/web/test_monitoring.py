"""Measures and health: true, for who may ask, and free of names; checked with Prometheus itself."""

import contextlib
import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from agent.clock import Instant, read_clock
from agent.hub.folder import KnownStation, Register
from agent.hub.stations import StationBoard, targets_document, write_targets
from agent.outbox.pauses import Pause
from agent.outbox.queries import Counters
from agent.outbox.states import CaptureState
from tests.conftest import REPOSITORY
from tests.factories import NOW_S, admitted
from tests.lived import send
from tests.needs import need
from tests.served_page import ServedPage, free_port, page_settings, served_page
from tests.station import until

MONITORING = REPOSITORY / "config" / "monitoring"


@pytest.fixture
def page(tmp_path: Path) -> Iterator[ServedPage]:
    """A page of its own: its outbox is filled."""
    with served_page(page_settings(tmp_path)) as served:
        yield served


def measured(text: str) -> Mapping[tuple[str, str], float]:
    """Every sample by its name and its labels."""
    return {
        (sample.name, ",".join(f"{k}={v}" for k, v in sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def lived_in(page: ServedPage) -> None:
    for number, way in enumerate(("ready", "uploaded", "held", "dead", "resent"), start=1):
        send(page.outbox, page.folder, number, way)


def test_measures_tell_what_is_on_record(page: ServedPage) -> None:
    lived_in(page)
    with page.client() as client:
        before = measured(client.get("/metrics").text)
        send(page.outbox, page.folder, 9, "uploaded")
        answer = client.get("/metrics")

    found = measured(answer.text)
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    assert found["spotter_clips", "state=held"] == 1 and found["spotter_clips", "state=dead"] == 1
    assert found["spotter_backlog_clips", ""] == 2 and found["spotter_backlog_bytes", ""] == 1000
    assert found["spotter_captures_admitted_total", ""] == 6
    assert found["spotter_verdicts_total", "verdict=analysed"] == 6
    assert before["spotter_attempts_total", "kind=upload,outcome=uploaded"] == 1
    assert found["spotter_attempts_total", "kind=upload,outcome=uploaded"] == 2
    assert found["spotter_attempts_total", "kind=upload,outcome=RefusedError"] == 1
    assert found["spotter_operation_duration_seconds_count", "operation=upload"] == 5
    assert found["spotter_last_success_timestamp_seconds", "what=delivery"] == NOW_S
    assert found["spotter_uploads_enabled", ""] == 1 and found["spotter_disk_free_bytes", ""] > 0


def test_measures_name_nobody(page: ServedPage) -> None:
    lived_in(page)
    page.outbox.roster.add_guest("Ada Lovelace", "ada lovelace", now_s=NOW_S)

    with page.client() as client:
        text = client.get("/metrics").text

    for word in ("athlete-1", "tom", "Ada", "Lovelace", "set-1", ".mp4"):
        assert word not in text


def test_an_attempt_under_way_is_counted_when_it_ends(tmp_path: Path) -> None:
    with served_page(page_settings(tmp_path)) as page:
        send(page.outbox, page.folder, 1, "marked")  # an upload that has not ended
        tally = Counters(page.outbox.database)
        assert tally.count(now_s=NOW_S).attempts == {}
        late = tally.count(now_s=NOW_S + 10**6).attempts
    assert late["upload", "cut_off"].times == 1


def test_with_a_token_everybody_needs_it_and_without_one_only_this_box_may_ask(
    tmp_path: Path,
) -> None:
    token_file = tmp_path / "token"
    with served_page(page_settings(tmp_path, web={"metrics_token_file": str(token_file)})) as page:
        with page.client() as client:
            assert client.get("/metrics").status_code == 401  # the token that was meant is missing
            token_file.write_text("a-long-secret\n")
            assert client.get("/metrics").status_code == 401
            wrong = client.get("/metrics", headers={"authorization": "Bearer wrong"})
            right = client.get("/metrics", headers={"authorization": "Bearer a-long-secret"})
            plain = client.get("/healthz").json()
        assert (wrong.status_code, right.status_code) == (401, 200)
        assert plain == {"ok": True}  # the reasons are not for everybody


def test_what_a_proxy_passes_on_is_not_this_box(page: ServedPage) -> None:
    with page.client() as client:
        assert client.get("/metrics", headers={"x-forwarded-for": "10.0.0.9"}).status_code == 401


def test_health_is_about_progress_and_readiness_about_work(page: ServedPage) -> None:
    with page.client() as client:
        assert client.get("/healthz").status_code == client.get("/readyz").status_code == 200
        pause = Pause(part="intake", reason="disk_full", detail="full", since=NOW_S)
        page.outbox.pauses.begin(pause)
        assert client.get("/healthz").status_code == 200
        waits = client.get("/readyz")
        page.outbox.pauses.end("intake")
        page.outbox.lanes.update(page_host(page), {"paused_reason": "network"})
        assert client.get("/readyz").status_code == 200  # it heals by itself
        page.outbox.lanes.update(page_host(page), {"paused_reason": "key"})
        keyless = client.get("/readyz")
        page.stuck.append("clipping")
        stuck = client.get("/healthz")
        text = client.get("/metrics").text
    assert (waits.status_code, waits.json()["reasons"]) == (503, ["intake paused: disk_full"])
    assert (keyless.status_code, keyless.json()["reasons"]) == (503, ["uploads paused: key"])
    assert (stuck.status_code, stuck.json()["reasons"]) == (503, ["stalled: clipping"])
    assert 'spotter_component_stalled{component="clipping"} 1.0' in text


HOURS = {"hours": ["daily 00:00-24:00"], "camera_silent_min": 0.01}


@pytest.mark.parametrize(
    ("language", "words"),
    [("en", "Last recording 12 min ago. Check the camera."),
     ("de", "Die letzte Aufnahme ist 12 min her. Prüfe die Kamera.")],
)  # fmt: skip
def test_a_camera_that_died_looks_healthy_nowhere(
    tmp_path: Path, language: str, words: str
) -> None:
    settings = page_settings(tmp_path, station=HOURS, web={"language": language})
    with served_page(settings) as page:
        send(page.outbox, page.folder, 1, "uploaded")
        at = read_clock().utc_s - 720
        page.outbox.database.change("UPDATE capture SET admitted_at = ? WHERE id = 1", (at,))
        with page.client() as client, page.client(page.session()) as coach:
            ready = client.get("/readyz")
            found = measured(client.get("/metrics").text)
            pages = coach.get("/").text, coach.get("/wall").text
    assert ready.status_code == 503
    assert ready.json()["reasons"] == ["the camera is silent: last recording 12 min ago"]
    assert found["spotter_camera_state", "state=silent"] == found["spotter_station_open", ""] == 1
    assert 720 <= found["spotter_last_recording_age_seconds", ""] < 800
    for shown in pages:
        assert words in shown and 'class="state state-needs"' in shown


def test_files_that_are_left_alone_are_said_and_footage_among_them_is_not_green(
    page: ServedPage,
) -> None:
    send(page.outbox, page.folder, 1, "uploaded")
    capture = page.settings.paths.capture
    for name in ("notes.txt", "plan.doc"):
        (capture / name).write_text("x")
        os.utime(capture / name, (1e9, 1e9))
    with page.client(page.session()) as coach:
        shown = coach.get("/").text
        assert "2 files in the capture folder are not videos by their extension." in shown
        assert 'class="state state-safe"' in shown
    (capture / "cam1.dav").write_text("x")
    os.utime(capture / "cam1.dav", (1e9, 1e9))
    with (
        served_page(page_settings(capture.parent)) as again,
        again.client(again.session()) as coach,
    ):
        assert 'class="state state-needs"' in coach.get("/").text


def test_a_camera_whose_last_recordings_are_all_black_looks_healthy_nowhere(
    page: ServedPage,
) -> None:
    send(page.outbox, page.folder, 1, "uploaded")
    for number in (2, 3, 4):
        with page.client() as client:
            assert client.get("/readyz").status_code == 200
        capture = admitted(page.outbox, number)
        claimed = page.outbox.captures.move(capture, CaptureState.ANALYSING, now_s=NOW_S)
        assert claimed is not None
        report = json.dumps({"quality": [{"code": "too_dark"}]})
        page.outbox.takes.record(claimed, [], report=report)
        page.outbox.captures.move(claimed, CaptureState.SKIPPED, now_s=NOW_S)
    with page.client() as client, page.client(page.session()) as coach:
        assert "dark" in str(client.get("/readyz").json()["reasons"])
        shown = coach.get("/").text
    assert (
        "The latest recordings are dark or frozen." in shown
        and 'class="state state-needs"' in shown
    )


def page_host(page: ServedPage) -> str:
    return page.settings.api.base_url.removeprefix("http://")


def test_an_outbox_that_cannot_be_read_is_not_healthy(page: ServedPage) -> None:
    page.outbox.database.close()
    (page.folder.root / "outbox.db").write_bytes(b"nonsense" * 4096)
    with page.client() as client:
        assert client.get("/healthz").status_code == 503
        assert client.get("/readyz").status_code == 503


def named(text: str) -> set[str]:
    return set(re.findall(r"\bspotter_[a-z_]+", text))


def test_rules_and_dashboard_ask_for_what_a_station_tells(page: ServedPage) -> None:
    lived_in(page)
    page.outbox.pauses.begin(Pause(part="intake", reason="x", detail="x", since=NOW_S))
    page.outbox.lanes.update(page_host(page), {"paused_reason": "key"})
    page.stuck.append("clipping")
    with page.client() as client:
        told = named(client.get("/metrics").text)
    told |= {"spotter_database_rebuilt_timestamp_seconds", "spotter_goodput_bytes_per_second"}
    rules = (MONITORING / "spotter.rules.yml").read_text()
    rules += (MONITORING / "spotter-facility.rules.yml").read_text()
    asked = named(
        " ".join(re.findall(r"expr: (?:>-\n)?((?:.|\n)+?)\n        (?:for|labels)", rules))
    )
    for name in ("grafana-dashboard.json", "grafana-facility.json"):
        dashboard = json.loads((MONITORING / name).read_text())
        asked |= named(json.dumps(dashboard["panels"]))
        places = [tuple(panel["gridPos"].values()) for panel in dashboard["panels"]]
        assert len(places) == len(set(places))

    assert asked <= told and len(asked) > 12


def test_prometheus_itself_takes_rules_and_measures(tmp_path: Path) -> None:
    promtool = str(need(Path("/usr/bin/promtool"), "prometheus"))
    for path in sorted(MONITORING.glob("*.rules.yml")):
        subprocess.run([promtool, "check", "rules", path], check=True, capture_output=True)
    shutil.copy(MONITORING / "spotter-facility.rules.yml", tmp_path)
    tests = shutil.copy(Path(__file__).with_name("spotter-facility.test.yml"), tmp_path)
    words = [promtool, "test", "rules", tests]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    with served_page(page_settings(tmp_path)) as page:
        lived_in(page)
        with page.client() as client:
            text = client.get("/metrics").text
    done = subprocess.run(
        [promtool, "check", "metrics"], input=text, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


@contextlib.contextmanager
def prometheus(folder: Path, *, asks: str | Path) -> Iterator[httpx.Client]:
    """Run Prometheus itself, on the sample's own words, and give the way to ask it.

    Args:
        folder: of its files.
        asks: a station's address, or the list that a hub has written.
    """
    program = need(Path("/usr/bin/prometheus"), "prometheus")
    sample = (MONITORING / "prometheus.sample.yml").read_text()
    changes = {": 30s": ": 1s"}
    if isinstance(asks, Path):
        changes["# file_sd_configs: [{files: [/run/spotter-hub/stations.json]}]"] = (
            f"file_sd_configs: [{{files: [{asks}]}}]"
        )
        changes['    static_configs:\n      - targets: ["platform-3.gym.example:8377"]\n'] = ""
        changes["[spotter.rules.yml]"] = "[spotter.rules.yml, spotter-facility.rules.yml]"
    else:
        changes["platform-3.gym.example:8377"] = asks
    for words, meant in changes.items():
        assert sample.count(words) == 1
        sample = sample.replace(words, meant)
    (folder / "prometheus.yml").write_text(sample)
    for path in MONITORING.glob("*.rules.yml"):
        shutil.copy(path, folder)
    address = f"127.0.0.1:{free_port()}"
    options = [
        f"--config.file={folder / 'prometheus.yml'}",
        f"--storage.tsdb.path={folder / 'series'}",
        f"--web.listen-address={address}",
    ]
    with (
        (folder / "prometheus.log").open("wb") as log,
        subprocess.Popen([program, *options], stderr=log, stdout=log) as running,
        httpx.Client(base_url=f"http://{address}/api/v1/", trust_env=False) as client,
    ):
        try:
            yield client
        finally:
            running.kill()


def test_prometheus_itself_scrapes_a_station(tmp_path: Path) -> None:
    token = tmp_path / "spotter-metrics-token"
    token.write_text("a-long-secret\n")
    web = {"metrics_token_file": str(token)}
    with served_page(page_settings(tmp_path, web=web)) as page:
        lived_in(page)
        with prometheus(tmp_path, asks=page.settings.web.listen) as client:

            def value(query: str) -> str | None:
                try:
                    answer = client.get("query", params={"query": query})
                except httpx.TransportError:
                    return None  # it has only just been started
                found = answer.json()["data"]["result"] if answer.is_success else []
                return str(found[0]["value"][1]) if found else None

            until(lambda: value('up{job="spotter"}') == "1")
            assert value('spotter_clips{job="spotter", state="held"}') == "1"
            (group,) = client.get("rules").json()["data"]["groups"]
            assert {rule["health"] for rule in group["rules"]} <= {"ok", "unknown"}


def test_prometheus_itself_finds_the_stations_of_a_hub(tmp_path: Path) -> None:
    token = tmp_path / "spotter-metrics-token"
    token.write_text("a-long-secret\n")
    web = {"metrics_token_file": str(token)}
    targets, board = tmp_path / "stations.json", StationBoard()
    register = Register(
        stations={
            name: KnownStation(key="", since=0.0, group=group)
            for name, group in (("rack-1", "Hall"), ("rack-2", None), ("silent", None))
        }
    )
    with served_page(page_settings(tmp_path, web=web)) as page:
        told = {"rack-1": page.settings.web.listen, "rack-2": f"127.0.0.1:{free_port()}"}
        for name, listen in told.items():
            word = {"state": "safe", "page": f"http://{listen}"}
            assert board.hear(name, json.dumps(word).encode(), now=Instant(utc_s=1.0))
        write_targets(
            targets, targets_document(board.views(register, now=Instant(utc_s=2.0)), site="gym-1")
        )
        assert targets.stat().st_mode & 0o777 == 0o644
        with prometheus(tmp_path, asks=targets) as client:

            def value(query: str) -> str | None:
                try:
                    answer = client.get("query", params={"query": query})
                except httpx.TransportError:
                    return None  # it has only just been started
                found = answer.json()["data"]["result"] if answer.is_success else []
                return str(found[0]["value"][1]) if found else None

            until(lambda: value('up{job="spotter", station="rack-1", group="Hall"}') == "1")
            until(lambda: value('up{job="spotter", station="rack-2", site="gym-1"}') == "0")
            dashboard = json.loads((MONITORING / "grafana-facility.json").read_text())
            stations = next(one for one in dashboard["panels"] if one["type"] == "table")
            (answers, *_more) = stations["targets"]
            asked = answers["expr"].replace("$site", ".*")
            rows = client.get("query", params={"query": asked}).json()["data"]["result"]
            assert {row["metric"]["station"]: row["value"][1] for row in rows} == {
                **{"rack-1": "1", "rack-2": "0"}
            }
            for panel in dashboard["panels"]:
                for target in panel["targets"]:
                    query = target["expr"].replace("$site", ".*")
                    assert client.get("query", params={"query": query}).is_success, query


@pytest.mark.parametrize(
    ("reason", "words"),
    [
        ("disk_full", "Disk full: new recordings wait."),
        ("folder_in_use", "Another station uses this capture folder: new recordings wait."),
        ("folder_missing", "The capture folder cannot be read: new recordings wait."),
        ("mount_missing", "The disk of the recordings is missing or read-only"),
        ("folder_read_only", "The disk of the recordings is missing or read-only"),
    ],
)
def test_the_page_says_why_new_recordings_wait(page: ServedPage, reason: str, words: str) -> None:
    page.outbox.pauses.begin(Pause(part="intake", reason=reason, detail="x", since=NOW_S))
    with page.client(page.session()) as coach:
        shown = coach.get("/").text
    assert words in shown and ("Disk full" in shown) is (reason == "disk_full")
    assert 'class="state state-needs"' in shown

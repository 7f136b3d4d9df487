"""The gate of spotter-update: when a new version is kept, and when it goes back."""

import importlib.util
import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import ModuleType

import pytest

from agent.doctor.box import check_update
from agent.doctor.check import Severity
from tests.conftest import REPOSITORY
from tests.factories import NOW_S


def _loaded() -> ModuleType:
    spec = importlib.util.spec_from_file_location("update", REPOSITORY / "systemd" / "update.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


update = _loaded()
NOTHING: frozenset[str] = frozenset()


def watched(looks: Iterable[Iterable[str]], *, before: Iterable[str] = ()) -> tuple[object, float]:
    """Return what failed in the end, and after how many seconds that was decided."""
    answers, clock = iter(looks), [0.0]

    def pause(seconds: float) -> None:
        clock[0] += seconds

    failed = update.watch(
        frozenset(before),
        watch_s=300.0,
        every_s=30.0,
        look=lambda: frozenset(next(answers)),
        pause=pause,
        monotonic=lambda: clock[0],
    )
    return failed, clock[0]


def always(*names: str) -> Iterator[tuple[str, ...]]:
    while True:
        yield names


def test_a_version_that_works_for_five_minutes_is_kept() -> None:
    assert watched(always()) == (None, 300.0)


def test_a_version_that_fails_goes_back_once_it_has_had_time_to_start() -> None:
    failed, after_s = watched(always("a: page", "a: service"))

    assert failed == {"a: page", "a: service"} and after_s == 90.0


def test_a_version_that_dies_later_goes_back_within_the_watch() -> None:
    failed, after_s = watched([(), (), (), (), ("a: service",), ("a: service", "a: API")])

    assert failed == {"a: service"} and after_s == 180.0


def test_what_failed_before_or_fails_only_while_it_starts_does_not_count() -> None:
    assert watched(always("a: API"), before=["a: API"]) == (None, 300.0)
    assert watched([("a: page",), ("a: page",), *[()] * 8]) == (None, 300.0)


def test_what_fails_once_is_looked_at_again() -> None:
    assert watched([*[()] * 4, ("a: API",), *[()] * 5]) == (None, 300.0)
    # In the last look: one more decides.
    assert watched([*[()] * 9, ("a: API",), ()]) == (None, 330.0)
    assert watched([*[()] * 9, ("a: API",), ("a: API",)]) == ({"a: API"}, 330.0)


@pytest.mark.parametrize(
    ("report", "found"),
    [
        ('{"checks": [{"name": "page", "state": "broken"}]}', {"a: page"}),
        ('{"checks": [{"name": "page", "state": "warning"}]}', set()),
        ('{"checks": []}', set()),
        ("", {"a: doctor"}),
        ("Traceback (most recent call last):", {"a: doctor"}),
        ("[]", {"a: doctor"}),
        ('{"checks": null}', {"a: doctor"}),
    ],
)
def test_a_doctor_that_does_not_answer_is_a_failure(report: str, found: set[str]) -> None:
    assert update.failures(report, "a") == found


def test_a_version_that_failed_is_refused_until_another_comes(tmp_path: Path) -> None:
    records = update.Records(tmp_path)
    assert records.pending is None and not records.refuses("0.2.0")
    under_way = {"from": "0.1.0", "to": "0.2.0", "package": "/a.deb", "before": ["a: API"]}
    records.pending = under_way
    assert update.Records(tmp_path).pending == under_way
    records.pending = {"from": "0.1.0"}
    assert records.pending is None
    failed = {"from": "0.1.0", "to": "0.2.0", "at": "2026-11-30T03:00:00Z", "reason": "a: page"}
    records.reverted = {**failed, "is_refused": True}
    assert records.refuses("0.2.0") and not records.refuses("0.2.1")
    records.reverted = {**failed, "is_refused": False}
    assert not records.refuses("0.2.0")
    (tmp_path / "pending.json").write_bytes(b"{")
    assert records.pending is None


def test_the_doctor_says_that_an_update_was_undone(tmp_path: Path) -> None:
    record = tmp_path / "reverted.json"
    assert check_update(now_s=NOW_S, folder=tmp_path) == []
    update.Records(tmp_path).reverted = {
        **{"from": "0.1.0", "to": "0.2.0", "at": "2026-11-30T03:00:00Z"},
        **{"reason": "a: page", "is_refused": True},
    }
    (found,) = check_update(now_s=NOW_S, folder=tmp_path)
    assert found.state is Severity.WARNING
    assert found.finding == "0.2.0 did not work here on 2026-11-30, 0.1.0 runs again: a: page"
    record.write_text(json.dumps(["no table"]))
    assert check_update(now_s=NOW_S, folder=tmp_path) == []


def test_the_doctor_says_that_the_ring_is_silent_where_updates_are_on(tmp_path: Path) -> None:
    asked, timer = tmp_path / "asked", tmp_path / "timer"
    asked.touch()
    os.utime(asked, (NOW_S, NOW_S))
    late_s = NOW_S + 15 * 86400

    assert check_update(now_s=late_s, folder=tmp_path, timer=timer) == []
    timer.symlink_to("/usr/lib/systemd/system/spotter-update.timer")
    assert check_update(now_s=late_s - 2 * 86400, folder=tmp_path, timer=timer) == []
    (found,) = check_update(now_s=late_s, folder=tmp_path, timer=timer)
    assert found.state is Severity.WARNING and "has not answered since 2026-11-18" in found.finding


def test_what_dpkg_left_out_on_purpose_is_left_out_of_the_way_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept, left_out = tmp_path / "kept", tmp_path / "left-out"
    kept.write_text("kept")
    answers = {
        "--control-list": "",
        "--status": "Package: spotter-agent\nStatus: install ok installed\n",
        "--listfiles": f"/.\n{tmp_path}\n{kept}\n{left_out}\n",
    }
    monkeypatch.setattr(update, "run", lambda *words: answers[words[1]])
    tree = tmp_path / "tree"

    for folder in reversed((tree / str(tmp_path).lstrip("/")).relative_to(tree).parents):
        (tree / folder).mkdir(parents=True, exist_ok=True)
    update._unpack_installed(tree)

    laid = tree / str(tmp_path).lstrip("/")
    assert (laid / "kept").read_text() == "kept" and not (laid / "left-out").exists()
    assert (tree / "DEBIAN" / "control").read_text() == "Package: spotter-agent\n"


def _wanted(**more: object) -> bytes:
    told = {"version": None, "hold": False, "not_before": None, **more}
    return json.dumps({"document": json.dumps({"release": told}), "signature": "x"}).encode()


@pytest.mark.parametrize(
    ("wanted", "offers", "chosen"),
    [
        ([], ["0.3.0", "0.2.0"], "0.3.0"),  # no hub: what is newest
        ([_wanted()], ["0.3.0"], "0.3.0"),
        ([_wanted(version="0.3.0")], ["0.3.0"], "0.3.0"),
        ([_wanted(version="0.2.0")], ["0.3.0", "0.2.0"], "0.2.0"),
        ([_wanted(version="0.2.0")], ["0.3.0"], None),
        ([_wanted(version="0.4.0")], ["0.3.0"], None),
        ([_wanted(version="0.1.0")], ["0.3.0", "0.1.0"], None),  # what runs now
        ([_wanted(version="0.0.9")], ["0.3.0", "0.0.9"], None),  # never an older one
        ([_wanted(version="0.10.0")], ["0.10.0", "0.9.0"], "0.10.0"),
        ([_wanted(hold=True)], ["0.3.0"], None),
        ([_wanted(version="0.3.0", not_before=NOW_S)], ["0.3.0"], "0.3.0"),
        ([_wanted(version="0.3.0", not_before=NOW_S + 1)], ["0.3.0"], None),
        ([_wanted(not_before=NOW_S + 1)], ["0.3.0"], None),
        # Several stations on one box: the oldest counts.
        ([_wanted(version="0.3.0"), _wanted(version="0.2.0")], ["0.3.0", "0.2.0"], "0.2.0"),
        ([_wanted(version="0.3.0"), _wanted(version="0.2.0")], ["0.3.0"], None),
        ([_wanted(version="0.3.0"), _wanted()], ["0.3.0"], "0.3.0"),
        ([_wanted(version="0.3.0"), _wanted(hold=True)], ["0.3.0"], None),
        ([_wanted(version="0.3.0"), b"rubbish"], ["0.3.0"], None),
        ([_wanted(hold=True)], [], None),
    ],
    ids=range(19),
)
def test_of_what_the_ring_offers_the_hub_chooses(
    wanted: list[bytes], offers: list[str], chosen: str | None
) -> None:
    read = [update.wanted_of(content) for content in wanted]
    found = update.choose(offers, read, installed="0.1.0", now_s=NOW_S, is_newer=update.is_newer)
    assert found.version == chosen
    assert bool(found.reason) == (chosen is None and bool(offers))


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[1]",
        b"[" * 4096,
        b'{"document": 3}',
        b'{"document": "{}"}',
        b"\xff\xfe",
        _wanted(version=3),
        _wanted(version="--pre-invoke=id"),  # dpkg compares versions: never an option of its own
        _wanted(version="0.2.0 gt 0"),
        _wanted(version="0" * 61),
        _wanted(hold="no"),
        _wanted(not_before="soon"),
        _wanted(not_before=10**400),
    ],
    ids=range(13),
)
def test_what_cannot_be_read_holds_updates_back(content: bytes) -> None:
    assert update.wanted_of(content) == update.HELD


def test_a_time_that_is_no_number_holds_updates_back() -> None:
    one = update.wanted_of(_wanted(version="0.3.0", not_before=float("nan")))
    found = update.choose(
        ["0.3.0"], [one], installed="0.1.0", now_s=NOW_S, is_newer=update.is_newer
    )
    assert found.version is None


def test_what_others_may_have_written_holds_updates_back(tmp_path: Path) -> None:
    path, elsewhere = tmp_path / "hub-release.json", tmp_path / "elsewhere"
    assert update.read_wanted(path) is None
    path.write_bytes(_wanted(version="0.2.0"))
    path.chmod(0o640)
    assert update.read_wanted(path) == update.Wanted("0.2.0")
    path.chmod(0o660)
    assert update.read_wanted(path) == update.HELD
    path.chmod(0o640)
    elsewhere.hardlink_to(path)
    assert update.read_wanted(path) == update.HELD
    path.unlink()
    path.symlink_to(elsewhere)
    assert update.read_wanted(path) == update.HELD
    path.unlink()
    path.write_bytes(_wanted(version="0.2.0") + b" " * 5000)
    path.chmod(0o640)
    assert update.read_wanted(path) == update.HELD
    path.unlink()
    os.mkfifo(path, 0o640)
    assert update.read_wanted(path) == update.HELD
    path.unlink()
    path.mkdir()
    assert update.read_wanted(path) == update.HELD


def test_every_station_of_the_box_is_asked_for_what_its_hub_wants(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = [tmp_path / f"{name}.toml" for name in ("station", "second", "missing")]
    for path in settings[:2]:
        state = path.with_suffix("")
        state.mkdir()
        path.write_text(f'[paths]\nstate = "{state}"\n')
    monkeypatch.setattr(update, "stations", lambda: settings)
    monkeypatch.setattr(update, "offered_versions", lambda: ["0.2.0", "0.3.0"])
    assert update.choice("0.1.0") == "0.3.0"
    one = tmp_path / "second" / "hub-release.json"
    one.write_bytes(_wanted(version="0.2.0"))
    one.chmod(0o640)
    assert update.choice("0.1.0") == "0.2.0"
    assert update.choice("0.2.0") is None
    assert 'update held installed=0.2.0 offered=0.3.0 reason="the hub wants 0.2.0"' in (
        capsys.readouterr().out
    )
    assert update.choice("0.3.0") is None
    assert "update not needed installed=0.3.0 offered=0.3.0" in capsys.readouterr().out
    settings[0].write_text("[paths")
    assert update.choice("0.1.0") is None

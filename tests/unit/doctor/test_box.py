"""Faults of the box itself, each found, named, and told how to mend."""

import json
import os
import shlex
import stat
from pathlib import Path

import pytest
from click.testing import CliRunner

from agent.cli.care import doctor
from agent.disk.rights import ServiceUser, how_to_give, may, may_take, service_user_of
from agent.disk.space import DiskUsage
from agent.doctor.box import (
    MODEL_SHA256,
    check_libraries,
    check_model,
    check_opencv,
    judge_codecs,
    judge_pose,
    judge_room,
    judge_speed,
    shipped_model,
)
from agent.doctor.check import CheckResult, Severity, fine, worst
from agent.doctor.folders import check_folder, check_inside
from tests.conftest import REPOSITORY

STRANGER = ServiceUser(name="nobody", uid=65534, groups=frozenset({65534}))


def told(finding: CheckResult, state: Severity, *words: str) -> None:
    assert finding.state is state, finding
    text = f"{finding.finding} {finding.remedy}"
    assert all(word in text for word in words), text
    assert state is not Severity.BROKEN or finding.remedy


def test_a_missing_library_of_the_system() -> None:
    told(check_libraries(lambda name: "EGL" not in name), Severity.BROKEN, "libEGL.so.1", "libegl1")


@pytest.mark.parametrize("names", [[], ["opencv-python", "opencv-python-headless", "numpy"]])
def test_no_opencv_or_two(names: list[str]) -> None:
    told(check_opencv(names), Severity.BROKEN, "installed", "sudo systemd/install.sh")


def test_a_model_that_is_not_the_one_that_was_shipped(tmp_path: Path) -> None:
    torn = tmp_path / "pose.task"
    torn.write_bytes(shipped_model().read_bytes()[:-1])

    told(check_model(torn, None), Severity.BROKEN, "differs from the shipped file")
    told(check_model(tmp_path / "none.task", None), Severity.BROKEN, "No such file")
    told(check_model(shipped_model(), torn), Severity.WARNING, "analysis.model")
    assert MODEL_SHA256 in (REPOSITORY / "NOTICE").read_text()


def test_an_analysis_that_finds_nobody_or_is_slow() -> None:
    told(judge_pose({"found": False, "pose_ms": 12.0}), Severity.BROKEN, "analysis.model")
    told(judge_pose({"found": True, "pose_ms": 200.0}), Severity.WARNING, "200 ms", "slow")


def test_the_doctor_says_how_many_takes_the_box_can_analyse() -> None:
    told(judge_pose({"found": True, "pose_ms": 15.0}), Severity.FINE, "about 480 takes an hour")
    too_slow = judge_pose({"found": True, "pose_ms": 400.0})
    told(too_slow, Severity.WARNING, "about 18 takes an hour", "two minutes", "analysis.offload")


def test_a_codec_that_is_not_there() -> None:
    told(judge_codecs({"missing": ["hevc"]}), Severity.BROKEN, "hevc")
    told(judge_codecs({}), Severity.BROKEN, "unknown")


def test_a_folder_that_is_missing_or_no_folder(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for name in ("nowhere", "file"):
        found = check_folder("capture folder", tmp_path / name, STRANGER)
        told(found, Severity.BROKEN, str(tmp_path / name), "sudo install -d -o nobody")


def test_a_folder_of_somebody_else(tmp_path: Path) -> None:
    tmp_path.chmod(0o750)

    told(check_folder("state folder", tmp_path, STRANGER), Severity.BROKEN, "nobody cannot")


def test_the_rights_that_count_are_the_daemons_whoever_asks(tmp_path: Path) -> None:
    assert (service_user_of(Path("/")).uid, service_user_of(Path("/")).name) == (0, "root")
    assert service_user_of(tmp_path / "nowhere").uid == os.geteuid()


def test_a_state_folder_that_is_open_to_everybody(tmp_path: Path) -> None:
    tmp_path.chmod(0o777)

    told(check_folder("state folder", tmp_path, STRANGER), Severity.WARNING, "sudo chmod o-rwx")


def test_files_that_root_left_in_the_state_folder(tmp_path: Path) -> None:
    left = tmp_path / "outbox.db"
    left.write_text("")
    left.chmod(0o600)

    told(
        check_inside(tmp_path, STRANGER, capture=tmp_path / "in"),
        Severity.BROKEN,
        "outbox.db",
        "sudo chown -R nobody",
    )


def test_a_recording_that_its_writer_made_read_only_is_no_trouble(tmp_path: Path) -> None:
    recording = tmp_path / "captures" / "84f2.mp4"
    recording.parent.mkdir()
    recording.write_bytes(b"film")
    recording.parent.chmod(0o777)
    recording.chmod(0o444)
    told(check_inside(tmp_path, STRANGER, capture=tmp_path / "in"), Severity.FINE)

    recording.chmod(0o440)
    told(check_inside(tmp_path, STRANGER, capture=recording.parent), Severity.FINE)
    told(check_inside(tmp_path, STRANGER, capture=tmp_path / "in"), Severity.BROKEN, "84f2.mp4")


def test_a_file_of_a_user_who_keeps_it_to_himself(tmp_path: Path) -> None:
    folder = tmp_path / "capture"
    folder.mkdir()
    own = folder / "kim's set.mp4"
    own.write_bytes(b"film")
    folder.chmod(0o777)
    own.chmod(0o604)
    assert may_take(own, STRANGER)

    own.chmod(0o600)
    assert not may_take(own, STRANGER)
    assert shlex.quote(str(own)) in how_to_give(own, STRANGER)
    own.chmod(0o604)
    folder.chmod(0o755)
    assert not may_take(own, STRANGER)


def test_rights_go_by_the_first_class_that_fits() -> None:
    def mode(bits: int, uid: int, gid: int) -> os.stat_result:
        return os.stat_result((stat.S_IFDIR | bits, 0, 0, 0, uid, gid, 0, 0, 0, 0))

    someone = ServiceUser(name="someone", uid=7, groups=frozenset({8}))
    assert may(mode(0o700, 7, 1), someone, 7)
    assert not may(mode(0o077, 7, 8), someone, 7)  # the owner's own bits deny
    assert may(mode(0o070, 1, 8), someone, 7) and not may(mode(0o707, 1, 8), someone, 7)
    assert may(mode(0o007, 1, 1), someone, 7) and not may(mode(0o770, 1, 1), someone, 4)


def test_a_disk_that_is_full_or_soon_will_be() -> None:
    full = DiskUsage(free_bytes=10**8, total_bytes=10**11, free_files=None)
    soon = DiskUsage(free_bytes=3 * 10**9, total_bytes=10**11, free_files=None)
    nameless = DiskUsage(free_bytes=10**11, total_bytes=10**11, free_files=3)

    told(judge_room(full, min_free_mb=None), Severity.BROKEN, "100 MB free", "disk.min_free_mb")
    told(judge_room(soon, min_free_mb=None), Severity.WARNING, "almost low")
    told(judge_room(nameless, min_free_mb=None), Severity.BROKEN, "inodes")


def test_a_slow_disk() -> None:
    told(judge_speed(8 << 20, 8.0), Severity.WARNING, "slow", "SSD")
    told(judge_speed(8 << 20, 0.1), Severity.FINE)


@pytest.mark.parametrize(
    ("name", "state", "code"),
    [
        ("disk", Severity.FINE, 0),
        ("disk", Severity.WARNING, 0),
        ("disk", Severity.BROKEN, 1),
        ("settings", Severity.BROKEN, 78),
    ],
)
def test_the_exit_code_goes_by_the_worst(
    name: str, state: Severity, code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = [fine("x", ""), CheckResult(name=name, state=state, finding="")]
    monkeypatch.setattr("agent.cli.care.rounds", lambda *_, **__: [("all", lambda: found)])
    done = CliRunner().invoke(doctor, ["--json"])
    assert done.exit_code == code and json.loads(done.stdout)["worst"] == state


def test_the_worst_counts() -> None:
    found = [CheckResult(name="x", state=state, finding="") for state in Severity]
    assert worst(found) is Severity.BROKEN and worst(found[:2]) is Severity.WARNING
    assert worst([]) is Severity.FINE

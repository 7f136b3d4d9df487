"""The child may crash, hang or eat memory: one capture pays, nobody else."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from agent.clipping.analysis_process import AnalysisProcess, ChildLimits
from agent.doctor.box import shipped_model
from agent.errors import AnalysisError, AnalysisFault
from agent.stage import ShutdownRequested, StopFlag
from agent.synthetic import SceneCamera, Segment, Storyboard
from tests.planted import plant
from tests.station import until
from tests.videos import film_run

Make = Callable[..., AnalysisProcess]


@pytest.fixture
def make() -> Iterator[Make]:
    """Makes children, and ends them."""
    made: list[AnalysisProcess] = []

    def child(**limits: float) -> AnalysisProcess:
        made.append(
            AnalysisProcess(
                limits=ChildLimits(**limits),  # type: ignore[arg-type]  # numbers all of them
                check=lambda: None,
            )
        )
        return made[-1]

    yield child
    for one in made:
        one.close()


def fault_of(child: AnalysisProcess, operation: str, **fields: object) -> AnalysisFault:
    with pytest.raises(AnalysisError) as caught:
        child.ask(operation, **fields)
    return caught.value.fault


def test_it_probes_inspects_and_works_on(make: Make, tmp_path: Path) -> None:
    child = make()
    video = film_run(tmp_path / "run.mp4")

    assert child.ask("probe", path=str(video))["packets"] == 24
    assert child.ask("inspect", path=str(video), options={})["verdict"] == "upload"
    assert fault_of(child, "probe", path="/nowhere.mp4") is AnalysisFault.REFUSED
    assert fault_of(child, "sing") is AnalysisFault.INTERNAL
    assert child.ask("check")["found"] is True
    maps = Path(f"/proc/{child.process_id}/maps").read_text()
    assert "libmediapipe" in maps
    assert "matplotlib" not in maps and "portaudio" not in maps  # half of its start, for nothing


def test_a_long_cut_tells_that_it_goes_on(tmp_path: Path) -> None:
    told: list[float] = []
    child = AnalysisProcess(limits=ChildLimits(), check=lambda: None, on_progress=told.append)
    story = Storyboard([Segment("run", 3.0)], width=320, height=180)
    SceneCamera(story).record(tmp_path / "run.mp4")

    cut = child.ask(
        "cut", path=str(tmp_path / "run.mp4"), start_s=0, end_s=3, out=str(tmp_path / "clip.mp4")
    )
    child.close()

    assert cut["method"] == "copy" and cut["clip_frames"] == 90
    assert told  # counting the frames of a long clip may take longer than a stall


def test_a_killed_child_is_a_crash_and_the_next_question_finds_a_new_one(make: Make) -> None:
    child = make()
    child.ask("check")
    pid = child.process_id
    assert pid is not None
    os.kill(pid, signal.SIGKILL)

    assert fault_of(child, "check") is AnalysisFault.CRASHED
    assert child.ask("check")["found"] is True


def test_a_child_that_hangs_is_ended(make: Make) -> None:
    child = make()
    child.ask("check")
    child._limits = ChildLimits(stall_s=0.5)  # not before: a busy machine starts it slowly
    pid = child.process_id
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)

    assert fault_of(child, "check") is AnalysisFault.STALLED
    assert not Path(f"/proc/{pid}").exists()


def test_a_first_look_that_fails_is_made_again_with_more_time_and_blames_no_file(
    tmp_path: Path,
) -> None:
    video = film_run(tmp_path / "run.mp4")
    model = tmp_path / "slow.task"
    os.mkfifo(model)  # whoever opens it waits
    limits = ChildLimits(stall_s=0.1)
    child = AnalysisProcess(limits=limits, check=lambda: None, model=model)

    for _ in range(3):
        with pytest.raises(AnalysisError, match="no progress for"):
            child.ask("probe", path=str(video))
        assert not child.self_test_passes()
    child.close()
    assert child._presumed == 20.0

    model.unlink()
    model.write_bytes(shipped_model().read_bytes())
    child._limits = ChildLimits()
    assert child.ask("probe", path=str(video))["packets"] == 24
    assert child.self_test_passes()
    child.close()


def test_nothing_that_others_may_write_is_imported(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plant(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))

    assert make().ask("check")["found"] is True
    assert not (tmp_path / "imported").exists()


def test_a_child_that_grows_too_large_is_ended(make: Make, tmp_path: Path) -> None:
    video = film_run(tmp_path / "run.mp4")
    child = make(memory_bytes=60 << 20)

    assert fault_of(child, "inspect", path=str(video), options={}) is AnalysisFault.MEMORY


def test_the_daemons_end_ends_it_at_once(tmp_path: Path) -> None:
    stop = StopFlag()
    child = AnalysisProcess(
        limits=ChildLimits(),
        check=stop.check,
        on_progress=lambda _done: stop.set(),
    )
    video = film_run(tmp_path / "run.mp4", seconds=8)

    with pytest.raises(ShutdownRequested):
        child.ask("inspect", path=str(video), options={})


def test_no_secret_reaches_it_and_it_dies_with_its_parent(tmp_path: Path) -> None:
    script = (
        "import sys, time; from pathlib import Path;"
        "from agent.clipping.analysis_process import AnalysisProcess, ChildLimits;"
        "c = AnalysisProcess(limits=ChildLimits(), check=lambda: None);"
        "c.ask('check'); print(c.process_id, flush=True); time.sleep(60)"
    )
    environ = {**os.environ, "SPOTTER_API__KEY": "very-secret"}
    with subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path)], stdout=subprocess.PIPE, env=environ
    ) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        assert b"very-secret" not in Path(f"/proc/{pid}/environ").read_bytes()
        parent.kill()

    until(lambda: not Path(f"/proc/{pid}/cmdline").exists() or not _cmdline(pid))


def test_its_linear_algebra_gets_one_thread(make: Make) -> None:
    """More of them, NumPy's and OpenCV's, would spin for work that is never large enough."""
    child = make()
    child.ask("codecs")
    environ = Path(f"/proc/{child.process_id}/environ").read_bytes().split(b"\0")
    assert b"OPENBLAS_NUM_THREADS=1" in environ


def _cmdline(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""

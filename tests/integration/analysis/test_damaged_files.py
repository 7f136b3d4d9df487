"""Damaged and hostile files: whatever becomes of the child, nothing outside it is harmed."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.clipping.analysis_process import AnalysisProcess, ChildLimits
from agent.errors import AnalysisError, AnalysisFault
from tests.footage import Form, record
from tests.mutation import mutated
from tests.videos import film_run

_FORMS = (
    Form(seconds=1.0),
    Form(seconds=1.0, suffix=".mkv", uneven=True),
    Form(seconds=1.0, suffix=".ts"),
    Form(seconds=1.0, suffix=".mov", sound="aac", rotation_deg=90),
    Form(seconds=1.0, suffix=".avi", codec="mpeg4"),
    Form(seconds=1.0, suffix=".webm", codec="libvpx-vp9", codec_options=(("cpu-used", "8"),)),
)
_FAST_LIMITS = ChildLimits(stall_s=5.0, memory_bytes=900 << 20)


@pytest.fixture
def child() -> Iterator[AnalysisProcess]:
    one = AnalysisProcess(limits=_FAST_LIMITS, check=lambda: None)
    yield one
    one.close()


@pytest.fixture
def originals(tmp_path: Path) -> list[Path]:
    made = [record(tmp_path / f"form-{n}", form) for n, form in enumerate(_FORMS)]
    return [*made, film_run(tmp_path / "run.mp4")]


def open_handles() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def survive(
    child: AnalysisProcess, originals: list[Path], seeds: range, folder: Path
) -> Counter[str]:
    """Look into damaged copies and cut them; return what became of them."""
    outcomes: Counter[str] = Counter()
    for seed in seeds:
        original = originals[seed % len(originals)]
        damaged = folder / f"damaged{original.suffix}"
        damaged.write_bytes(mutated(original.read_bytes(), seed))
        try:
            child.ask("probe", path=str(damaged))
            child.ask("inspect", path=str(damaged), options={"activity": "running"})
            child.ask("cut", path=str(damaged), start_s=0.2, end_s=0.8, out=str(folder / "c.mp4"))
            outcomes["used"] += 1
        except AnalysisError as error:
            outcomes[str(error.fault)] += 1
            assert error.fault is not AnalysisFault.INTERNAL, (seed, str(error))
    return outcomes


def check_unharmed(child: AnalysisProcess, good: Path, handles: int) -> None:
    assert child.ask("inspect", path=str(good), options={})["verdict"] == "upload"
    child.close()
    assert open_handles() <= handles


def test_damaged_files_are_used_or_refused(
    child: AnalysisProcess, originals: list[Path], tmp_path: Path
) -> None:
    handles = open_handles()

    outcomes = survive(child, originals, range(28), tmp_path)

    assert outcomes["used"] >= 6 and outcomes.total() == 28
    check_unharmed(child, originals[-1], handles)


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_a_thousand_damaged_files_are_used_or_refused(
    child: AnalysisProcess, originals: list[Path], tmp_path: Path
) -> None:
    handles = open_handles()

    outcomes = survive(child, originals, range(1000), tmp_path)

    print(dict(outcomes))  # noqa: T201  # what a soak found is worth reading
    assert outcomes["used"] >= 200
    check_unharmed(child, originals[-1], handles)

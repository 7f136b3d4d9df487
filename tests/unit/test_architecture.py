"""The house keeps its shape: imports run one way, the daemon stays light."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY

# Who may import whom, from the ground up.  A part may import its own tier's other parts only
# where that is listed beside it.
GROUND = {
    *("errors", "clock", "stage", "crashpoints", "activities", "settings", "timetable", "pulse"),
    *("redaction", "local_time", "plurals", "unit"),
}
STAGES = GROUND | {"outbox", "station", "intake", "delivery", "notices", "web"}
TIERS: dict[str, set[str]] = {
    "outbox": GROUND,
    "api": GROUND,
    "station": GROUND | {"outbox"},
    "intake": GROUND | {"outbox", "station"},
    "delivery": GROUND | {"outbox", "api"},
    "sandbox": GROUND | {"outbox", "api"},
    "drill": GROUND | {"outbox", "station", "sandbox", "rehearsal", "wake"},
    "web": GROUND | {"outbox", "station", "delivery", "timetable"},
    "notices": GROUND | {"outbox", "station", "api"},
    "support": GROUND | {"outbox"},
    "doctor": GROUND | {"outbox", "api", "station", "intake", "notices", "web"},
    "daemon": GROUND | {"outbox", "wake"},
    "assembly": STAGES | {"api", "daemon"},
    "on_request": STAGES | {"api", "assembly"},
}
PURE = (
    *(
        "athlete",
        "bursts",
        "crop",
        "efforts",
        "image",
        "intervals",
        "landmarks",
        "motion",
        "movement",
    ),
    *("packets", "reps", "screening", "stillness", "takes", "visits"),
    *("quality/framing", "quality/light", "quality/remarks", "quality/stance", "quality/timing"),
)
HEAVY = {"av", "cv2", "mediapipe"}


def modules(*parts: str) -> list[Path]:
    return sorted(REPOSITORY.joinpath(*parts).rglob("*.py"))


def imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


@pytest.mark.parametrize("part", sorted(TIERS))
def test_imports_run_one_way(part: str) -> None:
    allowed = TIERS[part] | {part}

    wrong = [
        f"{path.relative_to(REPOSITORY)} imports {name}"
        for path in modules("agent", part)
        for name in imports(path)
        if name.startswith("agent.") and name.split(".")[1] not in allowed
    ]

    assert not wrong


def test_the_ground_stands_on_nothing() -> None:
    for part in sorted(GROUND):
        paths = modules("agent", part) or [REPOSITORY / "agent" / f"{part}.py"]
        for path in paths:
            above = {
                name.split(".")[1] for name in imports(path) if name.startswith("agent.")
            } - GROUND
            assert not above, path


def test_the_agent_reaches_the_analysis_through_its_child_alone() -> None:
    assert not [
        path
        for path in modules("agent")
        for name in imports(path)
        if name.split(".")[0] == "analysis"
    ]
    speaking = [path.name for path in modules("agent") if "analysis.worker" in path.read_text()]
    assert speaking == ["child.py"]


def test_the_analysis_knows_nothing_of_the_agent() -> None:
    assert not [p for p in modules("analysis") for name in imports(p) if name.startswith("agent")]


@pytest.mark.parametrize("name", PURE)
def test_pure_modules_import_numpy_alone(name: str) -> None:
    outside = {
        found.split(".")[0]
        for found in imports(REPOSITORY / "analysis" / f"{name}.py")
        if found.split(".")[0] not in sys.stdlib_module_names
    }

    assert outside <= {"numpy", "analysis"}


def test_tables_are_named_in_the_outbox_alone() -> None:
    words = ("INSERT INTO", "UPDATE entry", "UPDATE capture", "SELECT ")
    assert not [
        path.relative_to(REPOSITORY)
        for path in modules("agent")
        if "outbox" not in path.parts and any(word in path.read_text() for word in words)
    ]


# A start on an outbox that is up to date does without what would bring it there.
FOR_UPGRADES = {"numpy", "sqlite_utils"}


def test_the_daemons_process_never_loads_a_decoder_or_the_model() -> None:
    probe = (
        "import sys, agent.running, agent.cli.run, agent.cli.status;"
        "print(' '.join(sorted({name.split('.')[0] for name in sys.modules})))"
    )

    loaded = subprocess.run(
        [sys.executable, "-c", probe], capture_output=True, text=True, check=True, cwd=REPOSITORY
    ).stdout.split()

    assert not (HEAVY | FOR_UPGRADES) & set(loaded)


def test_what_serves_page_and_broker_is_loaded_only_where_there_is_one() -> None:
    probe = (
        "import sys, agent.assembly.station, agent.cli, agent.cli.run;"
        "print(' '.join(sorted({name.split('.')[0] for name in sys.modules})))"
    )

    loaded = subprocess.run(
        [sys.executable, "-c", probe], capture_output=True, text=True, check=True, cwd=REPOSITORY
    ).stdout.split()

    assert not {"starlette", "uvicorn", "jinja2", "segno", "prometheus_client", "paho"} & set(
        loaded
    )


def test_exactly_one_opencv_is_locked_and_no_registry_is_named() -> None:
    for name in ("requirements.lock", "requirements-dev.lock"):
        lock = (REPOSITORY / name).read_text()
        assert "\nopencv-python-headless==" in lock
        assert lock.count("\nopencv-") == 1
        assert "--hash=sha256:" in lock and "://" not in lock

"""The architecture: layers, no import cycles, unique class names, no native code in the daemon."""

import ast
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY

# The packages and modules directly below agent/, from the lowest layer up.  A layer may import the
# layers below it, and within its own layer only what IN_LAYER names.
LAYERS = (
    {"errors", "clock", "failpoints", "heartbeat", "stage", "wakeup", "retry", "logs", "text"}
    | {"bandwidth_schedule", "buttons", "camera_link", "exercises", "log_events", "token_bucket"}
    | {"secret_files"},
    {"settings", "disk"},
    {"outbox", "api"},
    {"station", "sandbox", "synthetic", "support_bundle", "backup", "card_reader"},
    {"recorder"},
    {"intake", "clipping", "delivery", "results", "notifications", "retention"},
    {"facility"},
    {"web"},
    {"daemon", "demo", "hub"},
    {"doctor", "drill", "facility_demo"},
    {"cli"},
    {"__main__"},
)
IN_LAYER = {
    ("bandwidth_schedule", "errors"),
    ("camera_link", "clock"),
    ("camera_link", "text"),
    ("exercises", "errors"),
    ("secret_files", "logs"),
    ("text", "logs"),
    ("retry", "stage"),
    ("hub", "daemon"),  # both tell systemd that they run
    ("results", "delivery"),  # downloads keep to the same bandwidth as uploads
}
PURE = {
    *("analysis.athlete", "analysis.efforts", "analysis.landmarks", "analysis.motion"),
    *("analysis.packets", "analysis.primitives", "analysis.quality", "analysis.signs"),
    *("analysis.movement", "analysis.screening", "analysis.stillness", "analysis.takes"),
    "analysis.swings",
}
NATIVE = {"av", "cv2", "mediapipe", "numpy"}
SERVERS = {"starlette", "uvicorn", "jinja2", "segno", "prometheus_client", "paho", "nats"}
FEWEST_MODULES_MEASURED = 100  # fewer would mean that the paths below lead nowhere


def _modules() -> dict[str, Path]:
    found = {}
    for part in ("agent", "analysis"):
        for path in sorted((REPOSITORY / part).rglob("*.py")):
            words = path.relative_to(REPOSITORY).with_suffix("").parts
            found[".".join(words[:-1] if words[-1] == "__init__" else words)] = path
    assert len(found) > FEWEST_MODULES_MEASURED
    return found


MODULES = _modules()


@cache
def _trees() -> dict[str, ast.Module]:
    """Every module of the project; not read before a test wants them."""
    return {name: ast.parse(path.read_text(encoding="utf-8")) for name, path in MODULES.items()}


def _imported(nodes: Iterator[ast.AST]) -> Iterator[str]:
    """Yield the modules that import statements load; of this project down to the module."""
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            for name in node.names:
                whole = f"{node.module}.{name.name}"
                yield whole if whole in MODULES else node.module


def _part(module: str) -> str:
    return module.split(".")[1] if "." in module else module


def test_every_part_of_the_agent_has_a_layer() -> None:
    parts = {_part(name) for name in MODULES if name.startswith("agent.")}

    assert parts <= set().union(*LAYERS)


def test_imports_run_down_the_layers() -> None:
    floor = {part: number for number, layer in enumerate(LAYERS) for part in layer}

    wrong = [
        f"{module} imports {name}"
        for module, tree in _trees().items()
        if module.startswith("agent.")
        for name in _imported(ast.walk(tree))
        if name.startswith("agent.") and _part(name) != _part(module)
        if floor[_part(name)] >= floor[_part(module)]
        if (_part(module), _part(name)) not in IN_LAYER
    ]

    assert not wrong


def test_no_module_imports_itself_by_way_of_others() -> None:
    graph = {
        module: {name for name in _imported(ast.walk(tree)) if name in MODULES and name != module}
        for module, tree in _trees().items()
    }

    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(f"import cycle: {' <- '.join(error.args[1])}")


def test_a_public_class_name_is_defined_once() -> None:
    homes = defaultdict(list)
    for module, tree in _trees().items():
        for node in tree.body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                homes[node.name].append(module)

    assert {name: where for name, where in homes.items() if len(where) > 1} == {}


def test_the_agent_reaches_the_analysis_through_its_process_alone() -> None:
    assert not [
        module
        for module, tree in _trees().items()
        if module.startswith("agent") and any(_is_analysis(n) for n in _imported(ast.walk(tree)))
    ]
    speaking = [
        module
        for module, path in MODULES.items()
        if module.startswith("agent") and "analysis.worker" in path.read_text(encoding="utf-8")
    ]
    assert speaking == ["agent.clipping.analysis_process"]


def test_the_analysis_knows_nothing_of_the_agent() -> None:
    assert not [
        module
        for module, tree in _trees().items()
        if _is_analysis(module)
        if any(name.split(".")[0] == "agent" for name in _imported(ast.walk(tree)))
    ]


def _is_analysis(module: str) -> bool:
    return module.split(".")[0] == "analysis"


def test_a_recorder_loads_nothing_that_it_does_not_need_for_filming() -> None:
    loaded = "import sys, agent.recorder.run; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", loaded], capture_output=True, text=True, check=True
    )
    assert "av" in done.stdout.split()
    # Of these each takes megabytes.
    unneeded = {"asyncio", "click", "httpx", "numpy", "pydantic", "rich", "ssl"}
    assert unneeded.isdisjoint(done.stdout.split())


@pytest.mark.parametrize("module", sorted(PURE))
def test_pure_modules_import_numpy_alone(module: str) -> None:
    outside = {
        name.split(".")[0]
        for name in _imported(ast.walk(_trees()[module]))
        if name.split(".")[0] not in sys.stdlib_module_names
    }

    assert outside <= {"numpy", "analysis"}


def test_tables_are_named_in_the_outbox_alone() -> None:
    words = ("INSERT INTO", "UPDATE entry", "UPDATE capture", "SELECT ")
    assert not [
        module
        for module, path in MODULES.items()
        if module.startswith("agent") and not module.startswith("agent.outbox")
        if any(word in path.read_text(encoding="utf-8") for word in words)
    ]


def _loaded_by(code: str) -> set[str]:
    """Return the top-level packages that a fresh process has loaded after the code."""
    probe = f"{code}\nimport sys; print(*{{name.partition('.')[0] for name in sys.modules}})"
    done = subprocess.run(
        [sys.executable, "-c", probe], capture_output=True, text=True, check=True, cwd=REPOSITORY
    )
    return set(done.stdout.split())


def test_the_daemons_process_never_loads_a_decoder_or_the_model() -> None:
    loaded = _loaded_by("import agent.daemon.run, agent.cli.run, agent.cli.status")

    assert "structlog" in loaded and not NATIVE & loaded


def test_what_serves_page_and_broker_is_loaded_only_where_there_is_one() -> None:
    loaded = _loaded_by("import agent.daemon.wiring, agent.cli, agent.cli.run")

    assert not SERVERS & loaded


def test_exactly_one_opencv_is_locked_and_no_registry_is_named() -> None:
    for name in ("requirements.lock", "requirements-dev.lock"):
        lock = (REPOSITORY / name).read_text()
        assert "\nopencv-python-headless==" in lock
        assert lock.count("\nopencv-") == 1
        assert "--hash=sha256:" in lock and "://" not in lock

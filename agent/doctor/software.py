"""What must be installed: libraries of the system, exactly one OpenCV, the model as it was made."""

import base64
import csv
import ctypes
import hashlib
import importlib.metadata
import importlib.util
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from agent.doctor.finding import Finding, broken, fine, warning

LIBRARIES = {"libEGL.so.1": "libegl1", "libGLESv2.so.2": "libgles2"}
MODEL_SHA256 = "0b16a260649757d7854d78c499ebcbaa8acc6738a7edba860546e6f8dd1536ed"  # as in NOTICE
_OWN = ("agent/", "analysis/")
_MODEL = Path("models", "pose_landmarker_lite.task")
_AGAIN = "install Spotter again, in the folder of its release: sudo systemd/install.sh"


def can_load(library: str) -> bool:
    """Tell whether the system has a library."""
    try:
        ctypes.CDLL(library)
    except OSError:
        return False
    return True


def installed_distributions() -> list[str]:
    """Return the names of everything installed in this environment."""
    return [found.name for found in importlib.metadata.distributions() if found.name]


def installed_files() -> dict[Path, str]:
    """Return every file that was installed as part of Spotter, with its SHA-256 in base64.

    Empty where it runs from its source tree.
    """
    found = importlib.metadata.distribution("spotter-agent")
    # Not its `files`, which leave out those that are missing.
    rows = csv.reader((found.read_text("RECORD") or "").splitlines())
    return {
        Path(str(found.locate_file(name))): digest.removeprefix("sha256=")
        for name, digest, _ in rows
        if name.startswith(_OWN) and digest.startswith("sha256=")
    }


def shipped_model() -> Path:
    """Return where the pose model lies; the analysis itself is not loaded."""
    spec = importlib.util.find_spec("analysis")
    assert spec is not None and spec.submodule_search_locations  # it comes with the agent
    return Path(next(iter(spec.submodule_search_locations))) / _MODEL


def check_files(files: Mapping[Path, str]) -> Finding:
    """Compare Spotter's own files with what was installed."""
    missing: list[Path] = []
    changed: list[Path] = []
    for path, digest in files.items():
        try:
            with path.open("rb") as file:
                is_same = _in_base64(hashlib.file_digest(file, "sha256").digest()) == digest
        except OSError:
            missing.append(path)
            continue
        if not is_same:
            (changed if path.stat().st_size else missing).append(path)
    if missing:
        return broken("files of Spotter", f"{_some(missing)} missing or empty", _AGAIN)
    if changed:
        told = f"{_some(changed)} changed since the installation"
        return warning("files of Spotter", told, _AGAIN)
    return fine("files of Spotter", f"all {len(files)} are as installed" if files else "a clone")


def _some(paths: list[Path]) -> str:
    more = f" and {len(paths) - 1} more are" if len(paths) > 1 else " is"
    return f"{paths[0]}{more}"


def _in_base64(digest: bytes) -> str:
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode("ascii")


def check_libraries(loads: Callable[[str], bool] = can_load) -> Finding:
    """Look for the libraries that the pose model needs from the system."""
    missing = {name: package for name, package in LIBRARIES.items() if not loads(name)}
    if not missing:
        return fine("system libraries", f"{', '.join(LIBRARIES)} are there")
    return broken(
        "system libraries",
        f"missing: {', '.join(missing)}; without them no pose is found",
        f"sudo apt install {' '.join(missing.values())}",
    )


def check_opencv(names: Iterable[str]) -> Finding:
    """See that there is one OpenCV: two write over each other's files."""
    found = sorted({name.lower() for name in names if name.lower().startswith("opencv-")})
    if len(found) == 1:
        return fine("OpenCV", f"exactly one: {found[0]}")
    told = "none is installed" if not found else f"{len(found)} are installed: {', '.join(found)}"
    return broken("OpenCV", told, _AGAIN)


def check_model(path: Path, own: Path | None) -> Finding:
    """Compare the shipped pose model with the one that was tested."""
    try:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        return broken("pose model", f"{path}: {error.strerror}", _AGAIN)
    if digest != MODEL_SHA256:
        return broken("pose model", f"{path} is not the file that was shipped", _AGAIN)
    if own is not None:
        return warning("pose model", f"another one is in use: {own} (analysis.model)")
    return fine("pose model", "as it was shipped")

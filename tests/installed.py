"""Spotter as it is installed: its wheel, in an environment of its own, without the source tree."""

import fcntl
import os
import shutil
import subprocess
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).parents[1]
SHIPPED = ("agent", "analysis")
_FILES = ("pyproject.toml", "README.md", "LICENSE", "NOTICE")
_BORROWED = "borrowed.pth"  # names the dependencies, in the place of 500 MB of wheels


@dataclass(frozen=True, slots=True)
class Installed:
    """One environment into which the wheel was installed."""

    root: Path
    wheel: Path

    @property
    def python(self) -> Path:
        """Its interpreter."""
        return self.root / "bin" / "python"

    @property
    def spotter(self) -> Path:
        """The command as pip has installed it."""
        return self.root / "bin" / "spotter"

    @property
    def packages(self) -> Path:
        """Where the agent is."""
        version = f"python{sys.version_info.major}.{sys.version_info.minor}"
        return self.root / "lib" / version / "site-packages"

    def run(
        self,
        *words: str | Path,
        code: int = 0,
        timeout_s: float = 200.0,
        scratch: Path | None = None,
    ) -> str:
        """Give the installed command, outside of the source tree; insist on its exit code."""
        done = subprocess.run(
            [self.spotter, *words],
            capture_output=True,
            text=True,
            check=False,
            cwd="/",
            env={**os.environ, "TMPDIR": str(scratch)} if scratch else None,
            timeout=timeout_s,
        )
        told = f"{words}: {done.returncode}\n{done.stdout}{done.stderr}"
        assert done.returncode == code, told
        return done.stdout


def install_once(shared: Path) -> Installed:
    """Build and install the wheel, once for all processes that share a folder."""
    done = shared / "installed.done"
    with (shared / "installed.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        wheel_folder, root = shared / "wheel", shared / "environment"
        if not done.exists():
            shutil.rmtree(root, ignore_errors=True)
            build_wheel(wheel_folder, source=copy_sources(shared / "source"))
            install(root, next(wheel_folder.glob("*.whl")))
            done.touch()
    return Installed(root, next(wheel_folder.glob("*.whl")))


def copy_sources(folder: Path) -> Path:
    """Copy what a wheel is made of, and nothing that an earlier build has left."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for name in SHIPPED:
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(REPOSITORY / name, folder / name, ignore=ignored)
    for name in _FILES:
        shutil.copy(REPOSITORY / name, folder)
    return folder


def build_wheel(folder: Path, *, source: Path) -> None:
    """Build the wheel with the setuptools of this environment."""
    words = ["wheel", "--quiet", "--no-deps", "--no-build-isolation", "--no-index"]
    _pip(*words, "--wheel-dir", str(folder), str(source))


def install(root: Path, wheel: Path) -> None:
    """Make an environment with the wheel in it, and with the dependencies of this one."""
    subprocess.run([sys.executable, "-I", "-m", "venv", "--without-pip", root], check=True)
    words = ["install", "--quiet", "--no-deps", "--no-index", "--no-warn-script-location"]
    _pip("--python", str(root / "bin" / "python"), *words, str(wheel))
    borrowed = Installed(root, wheel).packages / _BORROWED
    borrowed.write_text(sysconfig.get_path("purelib") + "\n")  # no .pth there is followed


def _pip(*words: str) -> None:
    done = subprocess.run(
        [sys.executable, "-I", "-m", "pip", "--disable-pip-version-check", *words],
        capture_output=True,
        text=True,
        check=False,
        cwd="/",
    )
    assert done.returncode == 0, done.stdout + done.stderr

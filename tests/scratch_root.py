"""A box to install on: this machine's own system, in a mount namespace whose changes vanish."""

import base64
import contextlib
import hashlib
import importlib.metadata
import os
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY
from tests.installed import build_wheel
from tests.needs import need
from tests.station import PATIENCE_S

_CHANGED = ("/etc", "/opt", "/var/lib", "/usr/bin", "/usr/lib", "/usr/local", "/usr/share")
_SHIPPED = ("agent", "analysis", "config", "docs", "systemd")
_FILES = ("pyproject.toml", "README.md", "LICENSE", "NOTICE", "requirements-build.lock")
_SYSTEMS_PYTHON = Path("/usr/bin/python3")
# Where the box finds this environment's packages, and its Python where the system's is another one:
# users of the box may not enter the folder that they really are in.
_PACKAGES = "/usr/local/lib/borrowed"
_PYTHON = "/usr/local/lib/borrowed-python"


@dataclass(frozen=True, slots=True)
class ScratchRoot:
    """A mount namespace, held open by a process that sleeps in it."""

    process_id: int

    def run(self, *words: str, code: int = 0) -> str:
        """Run a command as root in it; return what it says, and insist on its exit code."""
        done = subprocess.run(
            # With its root, too: in a chroot, that of the namespace is the machine's own.
            [*("nsenter", "--target", str(self.process_id), "--mount", "--root", "--wd"), *words],
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE_S,
            cwd="/",
            env={
                "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
                "LANG": "C.UTF-8",
            },
        )
        assert done.returncode == code, f"{words}: {done.returncode}\n{done.stdout}{done.stderr}"
        return done.stdout + done.stderr


@contextlib.contextmanager
def scratch_root(folder: Path) -> Iterator[ScratchRoot]:
    """Give a system on which anything may be changed, until the block ends."""
    layers = " ".join(
        f"&& mkdir -p {folder}/up{place} {folder}/work{place} && mount -t overlay overlay"
        f" -o lowerdir={place},upperdir={folder}/up{place},workdir={folder}/work{place} {place}"
        for place in _CHANGED
    )
    lent = " ".join(
        f"&& mkdir -p {place} && mount --bind {source} {place}" for source, place in _lent()
    )
    script = f"mount -t tmpfs tmpfs {folder} {layers} {lent} {_own_python()} && echo ready"
    script += " && exec sleep infinity"
    folder.mkdir()
    with subprocess.Popen(
        ["unshare", "--mount", "--propagation", "private", "sh", "-c", script],  # noqa: S607  # found by PATH, as people do
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as holder:
        try:
            assert holder.stdout is not None and holder.stderr is not None  # both are pipes
            if holder.stdout.readline() != b"ready\n":
                told = f"no mount namespace with overlays: {holder.stderr.read().decode()}"
                (pytest.fail if os.environ.get("CI") else pytest.skip)(told)
            box = ScratchRoot(holder.pid)
            box.run("test", "-e", f"{folder}/up")  # whatever is changed now vanishes with it
            yield box
        finally:
            holder.kill()


def release(
    folder: Path, *, version: str, change: Callable[[Path], None] = lambda _folder: None
) -> Path:
    """Unpack a release of its own version, without git, with the agent's wheel and no others.

    Args:
        folder: where.
        version: as it calls itself.
        change: makes its source differ from this one.
    """
    folder.mkdir()
    for name in _SHIPPED:
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(REPOSITORY / name, folder / name, ignore=ignored)
    for name in _FILES:
        shutil.copy(REPOSITORY / name, folder)
    (folder / "agent" / "__init__.py").write_text(f'__version__ = "{version}"\n')
    change(folder)
    wheels = folder / "wheelhouse"
    build_wheel(wheels, source=folder)
    for left in ("build", "spotter_agent.egg-info"):
        shutil.rmtree(folder / left)
    borrowed = pack_wheel(wheels, "borrowed", "1.0", {"borrowed.pth": f"{_PACKAGES}\n".encode()})
    (folder / "requirements.lock").write_text(locked("borrowed", "1.0", borrowed))
    return folder


def pack_wheel(folder: Path, name: str, version: str, files: Mapping[str, bytes]) -> Path:
    """Pack files into a wheel of pure Python."""
    folder.mkdir(exist_ok=True)
    about = f"{name}-{version}.dist-info"
    packed = {
        **files,
        f"{about}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n".encode(),
        f"{about}/WHEEL": b"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = [f"{path},{_record_hash(content)},{len(content)}" for path, content in packed.items()]
    packed[f"{about}/RECORD"] = "\n".join([*record, f"{about}/RECORD,,", ""]).encode()
    wheel = folder / f"{name}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for path, content in packed.items():
            archive.writestr(path, content)
    return wheel


def repack_setuptools(folder: Path) -> Path:
    """Pack the setuptools of this environment into a wheel again, as a registry would have it."""
    found = importlib.metadata.distribution("setuptools")
    files = {
        str(file): Path(str(file.locate())).read_bytes()
        for file in found.files or []
        if file.parts[0] != ".." and "__pycache__" not in file.parts and file.name != "RECORD"
    }
    inside = {path: content for path, content in files.items() if ".dist-info/" not in path}
    entry_points = {
        path: content for path, content in files.items() if path.endswith("entry_points.txt")
    }
    return pack_wheel(folder, "setuptools", found.version, {**inside, **entry_points})


def locked(name: str, version: str, wheel: Path) -> str:
    """Return the line of a lock file that names a wheel by its hash."""
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    return f"{name}=={version} --hash=sha256:{digest}\n"


def _record_hash(content: bytes) -> str:
    digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest())
    return f"sha256={digest.rstrip(b'=').decode()}"


def _lent() -> list[tuple[str, str]]:
    """Return what the box is lent of this environment, each with its place there."""
    lent = [(sysconfig.get_path("purelib"), _PACKAGES)]
    return lent if _systems_python_serves() else [*lent, (sys.base_prefix, _PYTHON)]


def _own_python() -> str:
    """Return the words that make this environment's Python the system's, where that is another."""
    if _systems_python_serves():
        return ""
    program = f"{_PYTHON}/bin/python{sys.version_info.major}.{sys.version_info.minor}"
    wrapper = f"{_PYTHON}.sh"
    return (
        f"&& printf '#!/bin/sh\\nexec {program} \"$@\"\\n' >{wrapper} && chmod 755 {wrapper}"
        f" && mount --bind {wrapper} {_SYSTEMS_PYTHON}"
        f" && echo {_PYTHON}/lib >/etc/ld.so.conf.d/borrowed.conf && ldconfig"
    )


def _systems_python_serves() -> bool:
    """Tell whether the system's Python can use the packages of this environment."""
    told = subprocess.run(
        [need(_SYSTEMS_PYTHON, "python3"), "-I", "-c", "import sys; print(*sys.version_info[:2])"],
        capture_output=True,
        text=True,
        check=True,
    )
    return tuple(map(int, told.stdout.split())) == sys.version_info[:2]

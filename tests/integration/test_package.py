"""The Debian package on a system whose changes vanish: in, up, interrupted, and away."""

import datetime as dt
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from agent import __version__
from tests.conftest import REPOSITORY
from tests.needs import need
from tests.scratch_root import ScratchRoot, pack_wheel, release, scratch_root
from tests.tools.sbom import bill

_PATH_IN_PACKAGE = re.compile(r"(?:/usr/share/spotter-agent|\$lib)/([\w./-]+)")
_CURRENT = ("readlink", "/opt/spotter/current")


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The package of a release before, and this one, with one wheel in the place of 40."""
    folder = tmp_path_factory.mktemp("packages")
    now = build(folder)
    tree, before = folder / "before", folder / "before.deb"
    deb("--raw-extract", now, tree)
    control = tree / "DEBIAN" / "control"
    control.write_text(control.read_text().replace(f"Version: {__version__}", "Version: 0.0.9"))
    (tree / "usr/lib/spotter-agent/version").write_text("0.0.9\n")
    deb("--build", tree, before)
    return before, now


def build(folder: Path) -> Path:
    tree = release(folder / "release", version=__version__)
    shutil.copy(REPOSITORY / "CHANGELOG.md", tree)
    (tree / "tests" / "tools").mkdir(parents=True)
    shutil.copy(REPOSITORY / "tests" / "tools" / "manual.py", tree / "tests" / "tools")
    (tree / ".venv").symlink_to(sys.prefix)
    wheels = folder / "wheels" / "arm64"
    wheels.mkdir(parents=True)
    shutil.copy(next(tree.glob("wheelhouse/borrowed*.whl")), wheels)
    done = subprocess.run(
        [tree / "config" / "debian" / "build.sh", "arm64", folder],
        capture_output=True,
        text=True,
        check=False,
        env={
            "PATH": "/usr/bin:/bin",
            "SPOTTER_WHEELS": str(wheels.parent),
            "SOURCE_DATE_EPOCH": "1795000000",
            "PIP_NO_INDEX": "1",
        },
        timeout=200,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return folder / f"spotter-agent_{__version__}_arm64.deb"


def test_shell_scripts_are_clean() -> None:
    shellcheck = need(Path("/usr/bin/shellcheck"), "shellcheck")
    config = REPOSITORY / "config"
    folders = (config, config / "apt", config / "debian", REPOSITORY / "tests" / "systems")
    scripts = [
        path
        for folder in folders
        for path in folder.iterdir()
        if path.suffix == ".sh" or path.name in {"postinst", "postrm", "prerm"}
    ]
    assert len(scripts) >= 5
    words: list[str | Path] = [shellcheck, "--external-sources", *scripts]
    done = subprocess.run(words, capture_output=True, text=True, check=False, cwd=REPOSITORY)
    assert done.returncode == 0, done.stdout


def test_the_package_says_what_it_is_and_holds_what_its_scripts_name(tmp_path: Path) -> None:
    root, package = tmp_path / "root", tmp_path / "spotter-agent.deb"
    need(REPOSITORY / ".venv" / "bin" / "python", "make setup")
    subprocess.run(
        [REPOSITORY / "config" / "debian" / "build.sh", "--tree", "arm64", root], check=True
    )
    deb("--build", root, package)
    asked = ("Package", "Version", "Architecture", "Depends", "Installed-Size")
    fields = [deb("--field", package, name).strip() for name in asked]
    assert fields[:3] == ["spotter-agent", __version__, "arm64"]
    needed = subprocess.run(
        ["/bin/sh", REPOSITORY / "systemd" / "packages.sh", "--list", "station"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    assert set(needed) < set(fields[3].replace(",", " ").split())
    assert "python3 (>= 3.11), python3 (<< 3.14~)" in fields[3] and int(fields[4]) > 1000

    subprocess.run(["md5sum", "--check", "--quiet", "DEBIAN/md5sums"], cwd=root, check=True)  # noqa: S607  # Debian's
    texts = [path for path in (root / "DEBIAN").iterdir() if path.name != "md5sums"]
    texts.append(root / "usr/lib/spotter-agent/environment")
    named = {name for path in texts for name in _PATH_IN_PACKAGE.findall(path.read_text())}
    assert {"wheels", "environment", "docs", "station.sample.toml"} < named
    places = [root / "usr" / part / "spotter-agent" for part in ("lib", "share")]
    assert [name for name in named if not any((at / name).exists() for at in places)] == []
    updater = root / "usr" / "sbin" / "spotter-update"
    assert b"--again" in subprocess.check_output([updater, "--help"])
    assert (root / "usr/lib/systemd/system/spotter-update.timer").exists()
    assert (root / "usr/share/man/man1/spotter.1.gz").stat().st_size > 5000


def test_the_bill_of_materials_names_every_wheel_once_and_is_the_same_twice(tmp_path: Path) -> None:
    pack_wheel(tmp_path, "spotter_agent", __version__, {})
    pack_wheel(tmp_path, "borrowed", "1.0", {"borrowed.py": b""})
    wheels = list(tmp_path.glob("*.whl"))
    moment = dt.datetime(2026, 11, 29, tzinfo=dt.UTC)

    made = bill(wheels, made=moment)

    assert made == bill(wheels[::-1], made=moment)
    assert [one["purl"] for one in made["components"]] == ["pkg:pypi/borrowed@1.0"]  # type: ignore[attr-defined]
    assert str(made["serialNumber"]).startswith("urn:uuid:")


@pytest.mark.soak
def test_it_is_installed_changed_for_another_and_taken_away_without_a_loss(
    packages: tuple[Path, Path], tmp_path: Path
) -> None:
    before, now = packages
    with scratch_root(tmp_path / "box") as box:
        box.run("dpkg", "--add-architecture", "arm64")
        put(box, before)
        first = box.run(*_CURRENT)
        assert first.startswith("/opt/spotter/versions/0.0.9-python3")
        assert (
            box.run("stat", "--format", "%a %U %G", "/etc/spotter/api-key") == "640 root spotter\n"
        )
        assert "multi-user.target.wants" in box.run(*enabled())
        box.run("sh", "-c", "echo '# mine' >>/etc/spotter/station.toml")
        box.run("sh", "-c", "echo footage >/var/lib/spotter/capture/take.mp4")

        put(box, now)
        assert box.run("spotter", "--version").endswith(f"{__version__}\n")
        assert "# mine" in box.run("cat", "/etc/spotter/station.toml")
        second = box.run(*_CURRENT)
        mends_what_a_power_cut_left(box, now)
        assert first != box.run(*_CURRENT) == second

        box.run("dpkg", "--remove", "spotter-agent")
        box.run("test", "!", "-e", "/opt/spotter")
        assert "# mine" in box.run("cat", "/etc/spotter/station.toml")
        told = box.run("dpkg", "--purge", "spotter-agent")
        assert "/var/lib/spotter is kept" in told
        box.run("test", "!", "-e", "/etc/spotter")
        assert box.run("cat", "/var/lib/spotter/capture/take.mp4") == "footage\n"
        assert box.run(*enabled()) == ""


def mends_what_a_power_cut_left(box: ScratchRoot, package: Path) -> None:
    """Configured again, the environment is whole: half-made, or with a file that the disk lost."""
    environment = box.run(*_CURRENT).strip()
    lost = f"{environment}/lib/python3*/site-packages/agent/cli/__init__.py"
    box.run("sh", "-c", f"truncate --size 0 {lost}")
    box.run("sh", "-c", "mkdir /opt/spotter/versions/half; ln -s nowhere /opt/spotter/current.new")
    put(box, package)
    assert box.run("spotter", "--version").endswith(f"{__version__}\n")
    assert box.run("ls", "/opt/spotter/versions").split() == [Path(environment).name]
    made = box.run("stat", "--format", "%Y %i", f"{environment}/share/release")

    put(box, package)  # nothing is to be mended
    assert box.run("stat", "--format", "%Y %i", f"{environment}/share/release") == made


def put(box: ScratchRoot, package: Path) -> None:
    """Install a package; the libraries for its pictures may be missing on this machine."""
    box.run("dpkg", "--force-depends", "--force-architecture", "--install", str(package))


def enabled() -> tuple[str, ...]:
    return ("find", "/etc/systemd/system", "-name", "spotter*.service")


def deb(option: str, package: Path, *words: str | Path) -> str:
    tool = need(Path("/usr/bin/dpkg-deb"), "dpkg")
    words = (tool, "-Znone", option, package, *words)  # not packed, as the build has it
    return subprocess.run(words, capture_output=True, text=True, check=True).stdout

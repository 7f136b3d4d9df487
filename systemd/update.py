#!/usr/bin/python3 -I
"""Updates the Debian package of Spotter from its ring, and goes back if the new version fails.

The package installs it as spotter-update; spotter-update.timer starts it, where a person has
enabled that.  The ring is the suite in /etc/apt/sources.list.d/spotter.sources.

    spotter-update            install what is newer, watch it for five minutes, go back if it fails
    spotter-update --check    only show what would be installed
    spotter-update --again    also a version that failed before

Exit codes: 0 nothing to install, held back, or updated; 1 failed, and the version before was
installed again; 69 the ring cannot be reached; 75 try again later; 78 no ring is configured.

The hub of a facility may say which version a station installs, and from when: then no other one is.

It runs with the system's Python, and needs nothing of Spotter's environment, which an update
replaces.
"""

import argparse
import fcntl
import itertools
import json
import os
import re
import shutil
import stat
import subprocess
import sys
import time
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

PACKAGE = "spotter-agent"
SOURCE = Path("/etc/apt/sources.list.d/spotter.sources")
SETTINGS = Path("/etc/spotter/station.toml")
HOME = Path("/opt/spotter/update")  # removed with the package
ARCHIVES = Path("/var/cache/apt/archives")
COMMAND = "/usr/bin/spotter"
STATE = Path("/var/lib/spotter")  # where the settings say nothing else
RELEASE_FILE = "hub-release.json"  # in the state folder: what the daemon has verified and kept
_MOST_WANTED_BYTES = 4096
_VERSION = re.compile(r"[0-9][A-Za-z0-9.+~-]{0,59}")

WATCH_S = 300.0
EVERY_S = 30.0
_LONGEST_WATCH_S = 3600
_GRACE = 1 / 5  # of the watch, until a service that has just started counts
DOCTOR_WITHIN_S = 180.0
APT_WITHIN_S = 1800.0
LOCKED_S = 5.0  # between two tries
UNREACHABLE, LATER = 69, 75
_OF_PENDING = {"from", "to", "package", "before"}
_SUMMARY = "Errors were encountered while processing"  # of dpkg, which repeats names

Failures = frozenset[str]  # checks of the doctor that fail, as "station.toml: page"
Look = tuple[float, Failures]  # seconds after the installation, and what failed


# -- the gate: pure -------------------------------------------------------------------------------


def verdict(before: Failures, looks: Sequence[Look], *, watch_s: float) -> str:
    """Return `wait`, `keep` or `revert`.

    What failed before the update does not count.  A check that fails twice in a row, after the
    service had time to start, means that the version does not work here; one that fails once may
    be the network's.
    """
    counted = [failed - before for at_s, failed in looks if at_s >= watch_s * _GRACE]
    if any(first & second for first, second in itertools.pairwise(counted)):
        return "revert"
    if counted and looks[-1][0] >= watch_s and not counted[-1]:
        return "keep"
    return "wait"


def reasons(before: Failures, looks: Sequence[Look]) -> Failures:
    """Return what failed in the last two looks, and had not before the update."""
    return (looks[-1][1] & looks[-2][1]) - before


def failures(report: str, subject: str) -> Failures:
    """Return what a report of `spotter doctor --json` says is broken.

    A report that cannot be read is a failure too: the new version does not even start.
    """
    try:
        checks = json.loads(report)["checks"]
        return frozenset(
            f"{subject}: {check['name']}" for check in checks if check["state"] == "broken"
        )
    except (ValueError, KeyError, TypeError):
        return frozenset({f"{subject}: doctor"})


# -- what the hub of a facility wants: pure -------------------------------------------------------


class Wanted(NamedTuple):
    """What the hub wants installed at a station."""

    version: str | None = None  # None: what the ring offers
    hold: bool = False  # install nothing
    not_before_s: float | None = None  # Unix time


HELD = Wanted(hold=True)


class Choice(NamedTuple):
    """The version to install; None: none, and why not, if the ring offers one that is newer."""

    version: str | None
    reason: str = ""


def wanted_of(content: bytes) -> Wanted:
    """Return what a document of the hub's says; one that cannot be read holds updates back.

    Its signature was verified when it came.  Who can write it can hold updates back, or choose
    among the versions of the ring that are newer than the installed one: nothing else.
    """
    try:
        told = json.loads(json.loads(content)["document"])["release"]
        version, hold, not_before = told["version"], told["hold"], told["not_before"]
        is_readable = isinstance(hold, bool) and (version is None or _VERSION.fullmatch(version))
        at_s = None if not_before is None else float(not_before)
    except (ValueError, TypeError, KeyError, OverflowError, RecursionError):
        return HELD
    return Wanted(version, hold, at_s) if is_readable else HELD


def choose(
    offers: Sequence[str],
    wanted: Sequence[Wanted],
    *,
    installed: str,
    now_s: float,
    is_newer: Callable[[str, str], bool],
) -> Choice:
    """Return which of the ring's versions is to be installed, if any.

    Args:
        offers: what the ring has.
        wanted: what hubs want of this box's stations; of several versions the oldest counts.
        installed: the version now.
        now_s: Unix time.
        is_newer: tells whether the first version is newer than the second.
    """
    newest = _first(offers, is_newer)
    if newest is None or not is_newer(newest, installed):
        return Choice(None)
    if any(one.hold for one in wanted):
        return Choice(None, "the hub holds updates back, or what it wants cannot be read")
    versions = [one.version for one in wanted if one.version is not None]
    oldest = _first(versions, lambda one, other: is_newer(other, one))
    # What is no number compares as false, and so holds back.
    if not all(one.not_before_s is None or one.not_before_s <= now_s for one in wanted):
        return Choice(None, f"the hub wants {oldest or 'a version'}, later")
    if oldest is None:
        return Choice(newest)
    is_possible = oldest in offers and is_newer(oldest, installed)
    return Choice(oldest) if is_possible else Choice(None, f"the hub wants {oldest}")


def _first(versions: Sequence[str], is_before: Callable[[str, str], bool]) -> str | None:
    found: str | None = None
    for version in versions:
        if found is None or is_before(version, found):
            found = version
    return found


# -- the box --------------------------------------------------------------------------------------


class UpdateError(Exception):
    """An update that did not take place; `code` is the exit code."""

    def __init__(self, message: str, *, code: int = 1) -> None:
        super().__init__(message)
        self.code = code


def say(event: str, **values: object) -> None:
    """Write one line to the journal: an event and its values."""
    told = " ".join(f"{name}={_quoted(str(value))}" for name, value in values.items())
    print(f"{event} {told}".rstrip(), flush=True)  # noqa: T201  # standard output is the journal


def _quoted(value: str) -> str:
    return value if value and not set(value) & set(' "=') else json.dumps(value, ensure_ascii=False)


def ended(
    words: Sequence[str], *, within_s: float, environment: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end, without anything to read.

    Raises:
        OSError: it cannot be started.
        subprocess.TimeoutExpired: it did not end in time.
    """
    return subprocess.run(
        words,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
        stdin=subprocess.DEVNULL,
        timeout=within_s,
        env=environment,
    )


def run(*words: str | Path, within_s: float = APT_WITHIN_S) -> str:
    """Run a command and return what it printed.

    Raises:
        UpdateError: it failed; the message is the end of what it said.
    """
    environment = {
        **os.environ,
        "DEBIAN_FRONTEND": "noninteractive",
        "NEEDRESTART_MODE": "a",
        "LC_ALL": "C.UTF-8",
    }
    try:
        done = ended([str(word) for word in words], within_s=within_s, environment=environment)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise UpdateError(f"{words[0]}: {error}") from None
    if done.returncode:
        told = (done.stderr.strip() or done.stdout.strip()).partition(_SUMMARY)[0]
        end = "; ".join(line.strip() for line in told.splitlines()[-2:])
        raise UpdateError(f"{words[0]} {words[1]}: {end or done.returncode}")
    return done.stdout


def apt(*words: str | Path) -> str:
    """Run apt-get, waiting for whatever holds its lock."""
    return run("apt-get", "-q", "-y", "-o", "DPkg::Lock::Timeout=300", *words)


def dpkg(*words: str | Path) -> None:
    """Run dpkg, waiting for one that an earlier run has started and that still works."""
    latest_s = time.monotonic() + APT_WITHIN_S
    while True:
        try:
            run("dpkg", *words)
        except UpdateError as error:
            if "lock" not in str(error) or time.monotonic() > latest_s:
                raise
            time.sleep(LOCKED_S)
        else:
            return


def installed_version() -> str:
    """Return the version that is installed, or was being installed when the power went."""
    return run("dpkg-query", "--show", "--showformat=${Version}", PACKAGE).strip()


def is_installed(version: str) -> bool:
    """Tell whether a version is installed, and whole."""
    told = run("dpkg-query", "--show", "--showformat=${db:Status-Abbrev} ${Version}", PACKAGE)
    return told.split() == ["ii", version]


def is_newer(version: str, than: str) -> bool:
    """Compare two versions as dpkg does."""
    words = ["dpkg", "--compare-versions", version, "gt", than]
    return subprocess.run(words, check=False).returncode == 0


def offered_versions() -> list[str]:
    """Ask the ring, and it alone, for all that it offers.

    Raises:
        UpdateError: it cannot be reached, or is not signed by the facility's key.
    """
    if not SOURCE.exists():
        raise UpdateError(
            f"{SOURCE} is missing: which ring is this station in? (docs/fleet.md)", code=78
        )
    only = ["-o", f"Dir::Etc::SourceList={SOURCE}", "-o", "Dir::Etc::SourceParts=-"]
    try:
        apt(*only, "-o", "APT::Get::List-Cleanup=0", "-o", "APT::Update::Error-Mode=any", "update")
    except UpdateError as error:
        raise UpdateError(f"the ring cannot be read: {error}", code=UNREACHABLE) from None
    (HOME / "asked").touch()  # the doctor says when it has not answered for long
    told = run("apt-cache", *only, "madison", PACKAGE)
    return [line.split("|")[1].strip() for line in told.splitlines() if line.count("|") == 2]


def wanted_at(settings: Path) -> Wanted | None:
    """Return what a hub wants of a station of this box; None where none has said anything."""
    try:
        told = tomllib.loads(settings.read_text())
        folder = Path(told.get("paths", {}).get("state", STATE))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError, AttributeError, RecursionError):
        return HELD
    return read_wanted(folder / RELEASE_FILE)


def read_wanted(path: Path) -> Wanted | None:
    """Read a document of the hub's; None where there is none.

    It counts only if the folder's owner, the daemon's user, wrote it and nobody else may; what
    does not count holds updates back.
    """
    try:
        opened = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(opened, "rb") as file:
            found, owner = os.fstat(opened), path.parent.stat().st_uid
            is_own = stat.S_ISREG(found.st_mode) and found.st_nlink == 1 and found.st_uid == owner
            if not is_own or found.st_mode & 0o022 or found.st_size > _MOST_WANTED_BYTES:
                return HELD
            return wanted_of(file.read(_MOST_WANTED_BYTES))
    except FileNotFoundError:
        return None
    except OSError:
        return HELD


def choice(installed: str) -> str | None:
    """Return the version to install now; None for none, and say why."""
    offers = offered_versions()
    wanted = [one for one in map(wanted_at, stations()) if one is not None]
    chosen = choose(offers, wanted, installed=installed, now_s=time.time(), is_newer=is_newer)
    if chosen.version is None:
        offered = _first(offers, is_newer) or "none"
        if chosen.reason:
            say("update held", installed=installed, offered=offered, reason=chosen.reason)
        else:
            say("update not needed", installed=installed, offered=offered)
    return chosen.version


def keep_package(version: str) -> Path:
    """Write the package of what is installed, so that the way back needs no network.

    No ring keeps old versions, and the first one came from a file: it is packed from its files.
    """
    kept = HOME / f"{PACKAGE}_{version}.deb"
    if kept.exists():
        return kept
    tree = HOME / "tree"
    shutil.rmtree(tree, ignore_errors=True)
    try:
        _unpack_installed(tree)
        unfinished = kept.with_suffix(".new")
        run("dpkg-deb", "--root-owner-group", "-Znone", "--build", tree, unfinished)
        run("sync", unfinished)
        unfinished.replace(kept)
    except OSError as error:
        raise UpdateError(f"version {version} cannot be kept: {error}") from None
    finally:
        shutil.rmtree(tree, ignore_errors=True)
    for old in HOME.glob(f"{PACKAGE}_*.deb"):
        if old != kept:
            old.unlink()
    return kept


def _unpack_installed(tree: Path) -> None:
    """Lay out the package as it was built, of links to the installed files."""
    control = tree / "DEBIAN"
    control.mkdir(parents=True)
    for name in run("dpkg-query", "--control-list", PACKAGE).split():
        path = run("dpkg-query", "--control-path", PACKAGE, name).strip()
        shutil.copy2(path, control / name)
    lines = run("dpkg-query", "--status", PACKAGE).splitlines()
    (control / "control").write_text(
        "".join(f"{line}\n" for line in lines if not line.startswith("Status:"))
    )
    for name in run("dpkg-query", "--listfiles", PACKAGE).splitlines():
        source, target = Path(name), tree / name.lstrip("/")
        if source.is_symlink():
            target.symlink_to(source.readlink())
        elif source.is_dir():
            target.mkdir(exist_ok=True)
        else:
            _lay(source, target)


def _lay(source: Path, target: Path) -> None:
    """Put a file there; one that dpkg was told not to install, or a person removed, stays away."""
    try:
        target.hardlink_to(source)
    except FileNotFoundError:
        return
    except OSError:  # another file system
        shutil.copy2(source, target)


def running(pattern: str) -> list[str]:
    """Return the units that systemd runs, or tries to run."""
    if not Path("/run/systemd/system").is_dir():
        return []
    words = ["list-units", "--plain", "--no-legend", "--state=active,activating,failed"]
    return [line.split()[0] for line in run("systemctl", *words, pattern).splitlines()]


def stations() -> list[Path]:
    """Return the settings of every station of this box."""
    names = (unit.split("@")[1].removesuffix(".service") for unit in running("spotter@*.service"))
    return [SETTINGS, *(SETTINGS.with_name(f"{name}.toml") for name in names)]


def ask_doctors() -> Failures:
    """Return what fails at any station of this box, and at a hub or worker that runs here."""
    asked = {path.name: ["doctor", "--json", "--config", str(path)] for path in stations()}
    if running("spotter-hub.service"):
        asked["hub"] = ["hub", "doctor", "--json"]
    if running("spotter-worker.service"):
        asked["worker"] = ["worker", "--check", "--json"]
    found: set[str] = set()
    for subject, words in asked.items():
        found |= failures(told_by_spotter(words, within_s=DOCTOR_WITHIN_S), subject)
    return frozenset(found)


def told_by_spotter(words: Sequence[str], *, within_s: float) -> str:
    """Return what a command of Spotter's prints, whatever its exit code; nothing if it hangs."""
    try:
        return ended([COMMAND, *words], within_s=within_s).stdout
    except (OSError, subprocess.TimeoutExpired):
        return ""


def is_occupied() -> bool:
    """Tell whether an athlete is on a station; one that does not answer keeps nobody waiting."""
    for settings in stations():
        words = ["status", "--json", "--config", str(settings)]
        try:
            assignment = json.loads(told_by_spotter(words, within_s=60.0))["assignment"]
            # Without a beginning it is the athlete of the settings, who is always there.
            if assignment["kind"] == "athlete" and assignment["since"] is not None:
                return True
        except (ValueError, KeyError, TypeError):
            continue
    return False


# -- what is under way, on the disk: a power cut must not end the watch ---------------------------


class Records:
    """What is under way, and what failed before."""

    def __init__(self, home: Path = HOME) -> None:
        self._pending, self._reverted = home / "pending.json", home / "reverted.json"

    @property
    def pending(self) -> dict[str, object] | None:
        """The update that was not finished: `from`, `to`, `package`, `before`."""
        found = _read(self._pending)
        return found if found is not None and set(found) >= _OF_PENDING else None

    @pending.setter
    def pending(self, document: Mapping[str, object] | None) -> None:
        _write(self._pending, document)

    @property
    def reverted(self) -> dict[str, object] | None:
        """The version that failed last: `from`, `to`, `at`, `reason`, `is_refused`."""
        return _read(self._reverted)

    @reverted.setter
    def reverted(self, document: Mapping[str, object] | None) -> None:
        _write(self._reverted, document)

    def refuses(self, version: str) -> bool:
        """Tell whether a version is not to be tried again."""
        failed = self.reverted
        return failed is not None and failed.get("to") == version and bool(failed.get("is_refused"))


def _read(path: Path) -> dict[str, object] | None:
    try:
        found = json.loads(path.read_text())
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None


def _write(path: Path, document: Mapping[str, object] | None) -> None:
    if document is None:
        path.unlink(missing_ok=True)
        return
    unfinished = path.with_suffix(".new")
    with unfinished.open("w") as file:
        json.dump(document, file)
        file.flush()
        os.fsync(file.fileno())
    unfinished.chmod(0o644)  # the doctor of any user shows it
    unfinished.replace(path)


@contextmanager
def alone() -> Iterator[None]:
    """Let no second one run meanwhile."""
    HOME.mkdir(mode=0o755, exist_ok=True)
    with (HOME / ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UpdateError("another spotter-update is running", code=LATER) from None
        yield


# -- the course -----------------------------------------------------------------------------------


def update(records: Records, *, again: bool, watch_s: float, every_s: float) -> None:
    """Install what is newer, watch it, and go back if it fails."""
    pending = records.pending
    if pending is None:
        pending = begin(records, again=again)
        if pending is None:
            return
        fault = install(str(pending["to"]))
    else:
        say("update resumed", **{"from": pending["from"], "to": pending["to"]})
        fault = resume(pending)
    before = frozenset(str(name) for name in pending["before"])  # type: ignore[attr-defined]  # a list
    if fault is None:
        failed = watch(before, watch_s=watch_s, every_s=every_s, look=ask_doctors)
        if failed is None:
            records.reverted = None
            records.pending = None
            say("update installed", **{"from": pending["from"], "to": pending["to"]})
            return
        fault = "these checks fail: " + ", ".join(sorted(failed))
    revert(records, pending, fault, watch_s=watch_s, every_s=every_s)


def begin(records: Records, *, again: bool) -> dict[str, object] | None:
    """Prepare the way back, and return what is to be done; None where there is nothing to do."""
    current = installed_version()
    offered = choice(current)
    if offered is None:
        return None
    if records.refuses(offered) and not again:
        say(
            "update refused",
            version=offered,
            reason="it failed here before; spotter-update --again tries it again",
        )
        return None
    if is_occupied():
        raise UpdateError("an athlete is on the station", code=LATER)
    download(offered)
    kept = keep_package(current)
    pending: dict[str, object] = {
        "from": current,
        "to": offered,
        "package": str(kept),
        "before": sorted(ask_doctors()),
    }
    records.pending = pending
    return pending


def download(version: str) -> None:
    """Fetch everything before anything is changed.

    Raises:
        UpdateError: it could not be had now.
    """
    try:
        apt("--no-install-recommends", "--download-only", "install", f"{PACKAGE}={version}")
    except UpdateError as error:
        raise UpdateError(f"{version} cannot be downloaded: {error}", code=UNREACHABLE) from None


def install(version: str) -> str | None:
    """Install a version of the ring; return what went wrong, if anything did."""
    try:
        apt("--no-install-recommends", "--reinstall", "install", f"{PACKAGE}={version}")
    except UpdateError as error:
        return f"the installation failed: {error}"
    for downloaded in ARCHIVES.glob(f"{PACKAGE}_*.deb"):
        downloaded.unlink(missing_ok=True)
    return None


def resume(pending: Mapping[str, object]) -> str | None:
    """End an installation that a power cut, or a kill, has interrupted."""
    with suppress(UpdateError):  # a package that was cut while it was unpacked is installed again
        dpkg("--configure", "--pending")
    if is_installed(str(pending["to"])):
        return None
    return install(str(pending["to"]))


def watch(
    before: Failures,
    *,
    watch_s: float,
    every_s: float,
    look: Callable[[], Failures],
    pause: Callable[[float], object] = time.sleep,
    monotonic: Callable[[], float] = time.monotonic,
) -> Failures | None:
    """Ask the doctor for a while; return what fails, or None where the version works."""
    began, looks = monotonic(), list[Look]()
    while True:
        pause(every_s)
        failed = look()
        looks.append((monotonic() - began, failed))
        judged = verdict(before, looks, watch_s=watch_s)
        if judged == "keep":
            return None
        if judged == "revert":
            return reasons(before, looks)


def revert(
    records: Records, pending: Mapping[str, object], fault: str, *, watch_s: float, every_s: float
) -> None:
    """Install the version before again, and say so.

    Raises:
        UpdateError: always: the update failed.
    """
    if installed_version() not in {pending["from"], pending["to"]}:
        records.pending = None
        raise UpdateError(f"{fault}; another version was installed meanwhile, which stays")
    try:
        dpkg("--force-downgrade", "--force-confold", "--install", str(pending["package"]))
    except UpdateError as error:
        say(
            "update revert failed", **{"from": pending["to"], "to": pending["from"], "error": error}
        )
        raise UpdateError(
            f"version {pending['from']} could not be installed again: {error}; "
            f"try: sudo dpkg --install {pending['package']}"
        ) from None
    # What fails with the version before, too, was not the new one's fault: it may be tried again.
    before = frozenset(str(name) for name in pending["before"])  # type: ignore[attr-defined]  # a list
    still = watch(before, watch_s=watch_s / 2, every_s=every_s, look=ask_doctors)
    document = {
        "from": pending["from"],
        "to": pending["to"],
        "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "reason": fault,
        "is_refused": still is None,
    }
    records.reverted = document
    records.pending = None
    say(
        "update reverted",
        **{"from": document["to"], "to": document["from"], "reason": fault},
        still_failing=", ".join(sorted(still or ())) or "nothing",
    )
    notify(str(document["from"]), str(document["to"]), fault)
    raise UpdateError(f"version {document['to']} does not work here; {document['from']} runs again")


def notify(version: str, failed: str, reason: str) -> None:
    """Tell the receivers of notifications; the doctor says it too, so a lost one is no loss."""
    for settings in stations():
        words = [
            "notify",
            "reverted",
            version,
            failed,
            "--reason",
            reason,
            "--config",
            str(settings),
        ]
        try:
            run(COMMAND, *words, within_s=120.0)
        except UpdateError as error:
            say("notification failed", station=settings.name, error=error)


def _seconds(word: str) -> float:
    value = float(word)
    if not 1 <= value <= _LONGEST_WATCH_S:
        raise argparse.ArgumentTypeError(f"1 to {_LONGEST_WATCH_S} seconds")
    return value


def main() -> int:
    """Run the command; return its exit code."""
    parser = argparse.ArgumentParser(
        prog="spotter-update", description="Update Spotter from its ring; go back if it fails."
    )
    parser.add_argument("--check", action="store_true", help="only show what would be installed")
    parser.add_argument("--again", action="store_true", help="also a version that failed before")
    parser.add_argument(
        "--watch",
        type=_seconds,
        default=WATCH_S,
        metavar="SECONDS",
        help="how long to watch it [300]",
    )
    parser.add_argument("--every", type=_seconds, default=EVERY_S, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if os.geteuid() != 0:
        parser.exit(1, "spotter-update: must be run as root\n  sudo spotter-update\n")
    try:
        with alone():
            if given.check:
                current = installed_version()
                offered = choice(current)
                if offered is not None:
                    say("update offered", installed=current, offered=offered)
            else:
                update(Records(), again=given.again, watch_s=given.watch, every_s=given.every)
    except UpdateError as error:
        print(f"spotter-update: {error}", file=sys.stderr)  # noqa: T201  # for people
        return error.code
    return 0


if __name__ == "__main__":
    sys.exit(main())

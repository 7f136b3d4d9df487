"""The result of a check: severity, text and remedy."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from agent.clock import Instant
from agent.daemon.systemd import unit_of
from agent.disk.state_folder import StateFolder, StateFolderLock, acting_as_owner
from agent.settings import Settings
from agent.settings.load import DEFAULT_PATH, how_to_edit


class Severity(StrEnum):
    """How something stands, from good to bad."""

    FINE = "fine"
    WARNING = "warning"  # it works, or recovers automatically; a person should know
    BROKEN = "broken"  # it does not work until a person does something


_ORDER = tuple(Severity)


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckResult:
    """What one check found."""

    name: str
    state: Severity
    finding: str  # in one sentence
    remedy: str | None = None  # the command or setting that fixes it


def fine(name: str, finding: str) -> CheckResult:
    """Return that something is as it should be."""
    return CheckResult(name=name, state=Severity.FINE, finding=finding)


def warning(name: str, finding: str, remedy: str | None = None) -> CheckResult:
    """Return that a person should know of something."""
    return CheckResult(name=name, state=Severity.WARNING, finding=finding, remedy=remedy)


def broken(name: str, finding: str, remedy: str) -> CheckResult:
    """Return that something does not work."""
    return CheckResult(name=name, state=Severity.BROKEN, finding=finding, remedy=remedy)


def worst(findings: Iterable[CheckResult]) -> Severity:
    """Return the worst state among findings."""
    return max((found.state for found in findings), key=_ORDER.index, default=Severity.FINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class StationUnderTest:
    """The station that is examined; nothing of it is changed."""

    settings: Settings
    config: Path  # the file of the settings
    now: Instant
    environ: Mapping[str, str]

    @property
    def folder(self) -> StateFolder:
        """The places of its state folder."""
        return StateFolder(self.settings.paths.state)

    def setting(self, words: str) -> str:
        """Return how a person changes a setting of this station."""
        is_of_unit = self.config.parent == DEFAULT_PATH.parent
        unit = unit_of(self.config).removesuffix(".service")
        then = f"sudo systemctl reload {unit}" if is_of_unit else "start the daemon again"
        return f"{how_to_edit(self.config)}: {words}; then {then}"

    @property
    def runs(self) -> bool:
        """Whether its daemon is up."""
        with acting_as_owner(self.folder.root):
            return StateFolderLock(self.folder).is_taken()


Check = Callable[[StationUnderTest], list[CheckResult]]
# What is checked next, and what to call for its findings.
Rounds = Iterator[tuple[str, Callable[[], list[CheckResult]]]]

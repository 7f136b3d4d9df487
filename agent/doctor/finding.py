"""What a check says: how it stands, and what mends it."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from agent.clock import Instant
from agent.outbox.disk.folders import StateFolder, acting_as_owner
from agent.outbox.disk.owner import OwnerLock
from agent.settings import Settings
from agent.unit import unit_of


class State(StrEnum):
    """How something stands, from good to bad."""

    FINE = "fine"
    WARNING = "warning"  # it works, or will again by itself; a person should know
    BROKEN = "broken"  # it does not work until a person does something


_ORDER = tuple(State)


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What one check found."""

    name: str
    state: State
    finding: str  # in one sentence
    remedy: str | None = None  # the command or setting that mends it


def fine(name: str, finding: str) -> Finding:
    """Return that something is as it should be."""
    return Finding(name=name, state=State.FINE, finding=finding)


def warning(name: str, finding: str, remedy: str | None = None) -> Finding:
    """Return that a person should know of something."""
    return Finding(name=name, state=State.WARNING, finding=finding, remedy=remedy)


def broken(name: str, finding: str, remedy: str) -> Finding:
    """Return that something does not work."""
    return Finding(name=name, state=State.BROKEN, finding=finding, remedy=remedy)


def worst(findings: Iterable[Finding]) -> State:
    """Return the worst state among findings."""
    return max((found.state for found in findings), key=_ORDER.index, default=State.FINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Patient:
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
        return f"sudoedit {self.config}: {words}; then sudo systemctl reload {unit_of(self.config)}"

    @property
    def runs(self) -> bool:
        """Whether its daemon is up."""
        with acting_as_owner(self.folder.root):
            return OwnerLock(self.folder).is_taken()


Check = Callable[[Patient], list[Finding]]

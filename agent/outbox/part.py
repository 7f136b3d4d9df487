"""A part of the outbox that is loaded when it is first asked for: a look needs few of them."""

from importlib import import_module
from typing import Generic, Protocol, TypeVar

from agent.outbox.database import OutboxDatabase

Table = TypeVar("Table")


class Whole(Protocol):
    """What has parts."""

    database: OutboxDatabase


class Part(Generic[Table]):
    """One attribute of an outbox, made from its database and from other parts."""

    def __init__(self, module: str, kind: str, *needs: str) -> None:
        """Say what it is.

        Args:
            module: in this package.
            kind: the class.
            needs: the parts that it is made from, besides the database.
        """
        self._module = f"{__package__}.{module}"
        self._kind = kind
        self._needs = needs
        self._name = ""

    def __set_name__(self, _owner: type[Whole], name: str) -> None:
        self._name = name

    def __get__(self, outbox: Whole, _owner: type[Whole] | None = None) -> Table:
        """Make it; from then on it stands in this one's place.  Threads that meet agree on one."""
        kind = getattr(import_module(self._module), self._kind)
        made: Table = kind(outbox.database, *(getattr(outbox, need) for need in self._needs))
        kept: Table = outbox.__dict__.setdefault(self._name, made)
        return kept

"""Reloads and starts while somebody else holds the outbox: the daemon goes on all the same."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing

import pytest

from agent.clock import read_clock
from agent.daemon import run
from agent.daemon.run import SettingsReloader
from agent.errors import ConfigError, OutboxError
from agent.outbox.outbox import Outbox
from agent.settings import Settings
from agent.settings.load import load_settings
from tests.station import Station


@pytest.fixture
def outbox(station: Station) -> Iterator[Outbox]:
    """An outbox that waits for no lock."""
    station.state.mkdir()
    with Outbox.open(station.state) as outbox:
        outbox.database.connection.execute("PRAGMA busy_timeout = 0")
        yield outbox


@pytest.fixture
def writer(outbox: Outbox) -> Iterator[sqlite3.Connection]:
    """Somebody else who can take the outbox for himself."""
    with closing(sqlite3.connect(outbox.database.path, isolation_level=None)) as other:
        yield other


def reloading(outbox: Outbox, read: Callable[[], Settings]) -> SettingsReloader:
    return SettingsReloader(read, try_out=lambda _: None, pauses=outbox.pauses, now=read_clock)


def test_a_broken_edit_that_cannot_be_recorded_changes_nothing(
    station: Station, outbox: Outbox, writer: sqlite3.Connection
) -> None:
    def read() -> Settings:
        raise ConfigError("capture.settle_s: must be a number")

    again = reloading(outbox, read)
    writer.execute("BEGIN IMMEDIATE")
    assert again.renew(load_settings(station.config)) is None
    assert outbox.pauses.all() == []

    writer.execute("ROLLBACK")
    assert again.renew(load_settings(station.config)) is None
    (pause,) = outbox.pauses.all()
    assert (pause.part, pause.reason) == ("settings", "not_taken_over")
    assert "must be a number" in pause.detail


def test_a_right_edit_is_taken_over_though_it_cannot_be_recorded(
    station: Station, outbox: Outbox, writer: sqlite3.Connection
) -> None:
    old = load_settings(station.config)
    station.config.write_text(station.config.read_text().replace("settle_s = 0.3", "settle_s = 9"))
    writer.execute("BEGIN IMMEDIATE")

    new = reloading(outbox, lambda: load_settings(station.config)).renew(old)

    assert new is not None and new.capture.settle_s == 9


@pytest.mark.parametrize("is_told_by_us", [True, False])
def test_a_start_waits_for_who_holds_the_outbox(
    outbox: Outbox,
    writer: sqlite3.Connection,
    monkeypatch: pytest.MonkeyPatch,
    is_told_by_us: bool,
) -> None:
    def step() -> str:
        try:
            outbox.pauses.forget()
        except sqlite3.OperationalError as error:
            if is_told_by_us:
                raise OutboxError("the outbox cannot be opened") from error
            raise
        return "done"

    said: list[str] = []
    given_way: list[None] = []
    monkeypatch.setattr(run, "_wait", lambda _seconds: writer.execute("ROLLBACK"))
    writer.execute("BEGIN IMMEDIATE")

    root = outbox.database.path.parent
    assert (
        run.retry_until_startable(step, root, lambda: given_way.append(None), say=said.append)
        == "done"
    )

    assert said == ["start paused: another process is writing to the database"] and given_way == []

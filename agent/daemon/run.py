"""One run of the daemon, from start to stop, and reloads of its settings: all of them, or none."""

import os
import signal
import sqlite3
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import FrameType
from typing import TypeVar

import structlog
from tenacity import RetryCallState, Retrying, retry_if_exception

from agent.clock import Now, read_clock
from agent.daemon.supervisor import DaemonHooks
from agent.daemon.systemd import NotifySocket, SystemdNotifier, describe_station
from agent.daemon.wiring import api_client, assemble_daemon, prepare_outbox
from agent.disk.mounts import Mounts
from agent.disk.space import is_fault
from agent.disk.state_folder import StateFolder, StateFolderLock
from agent.errors import AgentError, ConfigError
from agent.heartbeat import START_BOUND_S, Heartbeats, beat
from agent.outbox.disk import Reserve
from agent.outbox.outbox import Outbox, is_about_full_disk, is_locked, open_with
from agent.outbox.pauses import Pause, PauseReporter, Pauses
from agent.outbox.recovery import open_as_owner
from agent.retry import Backoff
from agent.settings import Settings
from agent.stage import StageName, StopFlag
from agent.station.assignments import api_host, renew_reserve, reserve_of, state_folder

reload_log = structlog.get_logger(stage=StageName.DAEMON)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReloadResult:
    """What came of reading the settings again."""

    settings: Settings | None = None  # None: what runs continues unchanged
    at_restart: tuple[str, ...] = ()  # keys that were changed, and wait for a restart


def renewed(old: Settings, new: Settings) -> ReloadResult:
    """Return what of new settings can be taken over by a daemon that runs with the old ones."""
    later = {
        "paths.state": new.paths.state != old.paths.state,
        "log.level": new.log.level != old.log.level,
    }
    usable = new.model_copy(
        update={
            "paths": new.paths.model_copy(update={"state": old.paths.state}),
            "log": old.log,
        }
    )
    return ReloadResult(
        settings=None if usable == old else usable,
        at_restart=tuple(key for key, changed in later.items() if changed),
    )


class SettingsReloader:
    """Reads the settings again whenever a person asks for it."""

    def __init__(
        self,
        read: Callable[[], Settings],
        *,
        try_out: Callable[[Settings], None],
        pauses: Pauses,
        now: Now,
    ) -> None:
        """Prepare to read.

        Args:
            read: reads the settings.
            try_out: raises where the box cannot do what they say, as with a missing certificate.
            pauses: where a refusal is recorded, for `spotter status`.
            now: the station's clock.
        """
        self._read = read
        self._try_out = try_out
        self._pauses = pauses
        self._now = now

    def renew(self, old: Settings) -> Settings | None:
        """Return the settings to continue with; None where nothing changes, and say why."""
        try:
            new = self._read()
            self._try_out(new)
        except (AgentError, OSError, ValueError) as error:
            self._refuse(error)
            return None
        with _if_it_can_be_recorded():
            self._pauses.end(StageName.SETTINGS)
        renewal = renewed(old, new)
        for key in renewal.at_restart:
            reload_log.warning(
                "restart required",
                setting=key,
                hint="sudo systemctl restart spotter (or spotter@NAME)",
            )
        if renewal.settings is None:
            reload_log.info("config reload skipped")
        return renewal.settings

    def _refuse(self, error: Exception) -> None:
        text = " ".join(str(error).split())
        reload_log.error("config reload rejected", error=text)
        hint = error.hint if isinstance(error, ConfigError) else None
        detail = f"the edit was rejected, the previous settings stay active: {text}"
        with _if_it_can_be_recorded():
            self._pauses.begin(
                Pause(
                    part=StageName.SETTINGS,
                    reason="not_taken_over",
                    detail=f"{detail}; {hint}" if hint else detail,
                    since=self._now().utc_s,
                )
            )


@contextmanager
def _if_it_can_be_recorded() -> Iterator[None]:
    """Go on where the outbox is locked or its disk full: the whole daemon would end for a word."""
    try:
        yield
    except (sqlite3.OperationalError, AgentError, OSError) as error:
        reload_log.warning("pause not recorded", error=str(error))


Result = TypeVar("Result")
Say = Callable[[str], None]  # shows a person what the start waits for
_AGAIN_S = 2.0
_AGAIN = Backoff(base_s=_AGAIN_S, longest_s=_AGAIN_S)
_FULL = "the disk is full"
_FAULTY = "the disk refuses"
_IN_USE = "another process is writing to the database"

log = structlog.get_logger(stage=StageName.START)


def _say_nothing(_words: str) -> None:
    """Stand in for somebody who watches."""


def exit_on_sigterm() -> None:
    """Let SIGTERM end a start that waits; the daemon, once it runs, ends in its own way."""

    def end(_number: int, _frame: FrameType | None) -> None:
        sys.exit(0)

    signal.signal(signal.SIGTERM, end)


def ignore_reload() -> None:
    """Ignore SIGHUP during a start: it has only just read the settings."""
    if not sys.stderr.isatty():
        signal.signal(signal.SIGHUP, signal.SIG_IGN)


def await_mounts(mounts: Mounts, *paths: Path, say: Say = _say_nothing) -> None:
    """Wait until every mount is there that these paths need."""
    announced: Path | None = None
    while (place := mounts.missing_for(*paths)) is not None:
        if place != announced:
            log.error("start paused", reason="a mount is missing", mount=str(place))
            say(f"start paused: {place} is not mounted")
            announced = place
        _wait(_AGAIN_S)
    if announced is not None:
        log.info("start resumed")


def retry_until_startable(
    step: Callable[[], Result],
    root: Path,
    give_way: Callable[[], None] = lambda: None,
    *,
    say: Say = _say_nothing,
) -> Result:
    """Take one step of a start; while the disk of `root` is full, make way and try it again.

    Likewise while somebody else holds the outbox for long, such as a doctor who compares it all.

    Raises:
        whatever the step raises that is about neither.
    """
    announced: str | None = None

    def make_way(state: RetryCallState) -> None:
        nonlocal announced
        error = state.outcome.exception() if state.outcome is not None else None
        why = None if error is None else _what_passes(error, root)
        if why == _FULL:
            give_way()
        if announced != why:
            announced = why
            log.error("start paused", reason=why, error=str(error))
            say(f"start paused: {why}")

    result = Retrying(
        retry=retry_if_exception(lambda error: _what_passes(error, root) is not None),
        wait=_AGAIN,
        sleep=_wait,
        before_sleep=make_way,
    )(step)
    if announced is not None:
        log.info("start resumed")
    return result


def _what_passes(error: BaseException, root: Path) -> str | None:
    """Return what a start waits for, of which an error came; None: waiting helps nobody."""
    if not isinstance(error, AgentError | OSError | sqlite3.OperationalError):
        return None
    if is_about_full_disk(error, root):
        return _FULL
    causes = (error, error.__cause__)
    if any(is_fault(cause) for cause in causes):
        return _FAULTY
    return _IN_USE if any(is_locked(cause) for cause in causes) else None


def _wait(seconds: float) -> None:
    beat()
    threading.Event().wait(seconds)


def run_station(settings: Settings, *, read_again: Callable[[], Settings]) -> None:
    """Run the daemon in the foreground until it is asked to end.

    Args:
        settings: what to begin with.
        read_again: reads the settings again, when SIGHUP asks for it.

    Raises:
        BusyError: another daemon owns the state folder.
        ConfigError: a folder cannot be used.
        OutboxError: the outbox cannot be opened or trusted.
    """
    heartbeats = Heartbeats()
    heartbeats.begin(StageName.START, bound_s=START_BOUND_S)
    with SystemdNotifier(NotifySocket.of(os.environ), heartbeats) as notifier:
        folder = state_folder(settings)
        exit_on_sigterm()
        ignore_reload()
        await_mounts(Mounts(settings.disk.mounts), folder.root, say=notifier.say)
        retry_until_startable(folder.prepare, folder.root, say=notifier.say)
        lock = StateFolderLock(folder)
        lock.take()
        reserve = reserve_of(settings)
        try:
            folder.empty_tmp()
            folder.quarantine_strange()
            opening = partial(open_with, reserve, partial(_open, folder))
            opened = retry_until_startable(opening, folder.root, reserve.release, say=notifier.say)
            with opened as outbox:
                run = _Run(folder, outbox, reserve, notifier=notifier, heartbeats=heartbeats)
                try:
                    run.go_on(settings, read_again)
                finally:
                    notifier.end()
        finally:
            reserve.hold()  # what stood in for the log, whose blocks were given back just now
            lock.release()


def _open(folder: StateFolder) -> Outbox:
    return open_as_owner(folder.root, now_s=read_clock().utc_s)


class _Run:
    """The daemon on an open outbox: assembled again for every reload."""

    def __init__(
        self,
        folder: StateFolder,
        outbox: Outbox,
        reserve: Reserve,
        *,
        notifier: SystemdNotifier,
        heartbeats: Heartbeats,
    ) -> None:
        self._folder = folder
        self._outbox = outbox
        self._reserve = reserve
        self._notifier = notifier
        self._heartbeats = heartbeats
        self._next: Settings | None = None
        self._disk = PauseReporter(outbox.pauses, StageName.DAEMON, now=read_clock)

    def go_on(self, settings: Settings, read_again: Callable[[], Settings]) -> None:
        """Run with these settings, then with those that a reload brought, and so on."""
        reloading = SettingsReloader(
            read_again, try_out=_try_out, pauses=self._outbox.pauses, now=read_clock
        )
        watching = DaemonHooks(
            heartbeats=self._heartbeats,
            on_stopping=self._notifier.manager.tell_stopping,
            on_running=self._has_started,
            on_disk=self._note_disk,
            on_disk_full=self._make_way,
        )
        self._next = settings
        while (settings_now := self._next) is not None and not watching.stop_asked:
            self._next = None
            watching.on_reload = partial(self._reload, reloading, settings_now)
            self._run_once(settings_now, watching)

    def _make_way(self) -> None:
        self._reserve.release(self._outbox.database)

    def _run_once(self, settings: Settings, watching: DaemonHooks) -> None:
        self._heartbeats.begin(StageName.START, bound_s=START_BOUND_S)
        exit_on_sigterm()
        renew_reserve(self._reserve, settings)
        stop = StopFlag()
        with api_client(settings, check=stop.check) as client:
            retry_until_startable(
                lambda: prepare_outbox(self._outbox, self._folder, settings),
                self._folder.root,
                self._make_way,
                say=self._notifier.say,
            )
            self._notifier.describe = partial(describe_station, self._outbox, api_host(settings))
            assemble_daemon(
                settings,
                self._folder,
                self._outbox,
                client,
                stop=stop,
                reserve=self._reserve,
                watching=watching,
            ).run()

    def _note_disk(self, refusals: Mapping[str, str]) -> None:
        """Put on record what the disk refuses, as far as it lets us, and that it does no more."""
        if refusals:
            detail = "; ".join(f"{stage}: {words}" for stage, words in sorted(refusals.items()))
            self._disk.begin("disk_refuses", detail)
        else:
            self._disk.end()

    def _has_started(self) -> None:
        self._heartbeats.end(StageName.START)
        self._notifier.has_started()

    def _reload(self, reloading: SettingsReloader, settings: Settings) -> bool:
        """Read the settings again; return whether the stages must end for it."""
        self._notifier.manager.tell_reloading()
        self._next = reloading.renew(settings)
        if self._next is None:
            self._notifier.has_started()
        return self._next is not None


def _try_out(settings: Settings) -> None:
    """Make what could fail once nothing runs any more: certificates are read here."""
    state_folder(settings)
    with api_client(settings, check=lambda: None):
        pass

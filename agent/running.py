"""One run of the daemon, from its start to its end, and what the service manager hears of it."""

import os
from collections.abc import Callable, Mapping
from functools import partial

from agent.assembly.delivery import api_client
from agent.assembly.station import assemble_daemon, prepare_outbox
from agent.clock import read_clock
from agent.daemon.loop import Watching
from agent.daemon.reloading import Reloading
from agent.daemon.service_manager import ServiceManager, Watchman
from agent.daemon.starting import (
    await_mounts,
    end_at_once_when_asked,
    ignore_reload,
    patiently,
)
from agent.daemon.status_line import describe_station
from agent.outbox.disk.folders import StateFolder
from agent.outbox.disk.mounts import Mounts
from agent.outbox.disk.owner import OwnerLock
from agent.outbox.disk.reserve import Reserve
from agent.outbox.opening import open_with
from agent.outbox.repair.recovery import open_as_owner
from agent.outbox.store import Outbox
from agent.outbox.waiting import Waiting
from agent.pulse import START_BOUND_S, Pulses
from agent.settings import Settings
from agent.stage import StageName, StopFlag
from agent.station.of_settings import api_host, renew_reserve, reserve_of, state_folder


def run_station(settings: Settings, *, read_again: Callable[[], Settings]) -> None:
    """Run the daemon in the foreground until it is asked to end.

    Args:
        settings: what to begin with.
        read_again: reads the settings anew, when SIGHUP asks for it.

    Raises:
        BusyError: another daemon owns the state folder.
        ConfigError: a folder cannot be used.
        OutboxError: the outbox cannot be opened or trusted.
    """
    pulses = Pulses()
    pulses.begin(StageName.START, bound_s=START_BOUND_S)
    with Watchman(ServiceManager.of(os.environ), pulses) as watchman:
        folder = state_folder(settings)
        end_at_once_when_asked()
        ignore_reload()
        await_mounts(Mounts(settings.disk.mounts), folder.root, say=watchman.say)
        patiently(folder.prepare, folder.root, say=watchman.say)
        lock = OwnerLock(folder)
        lock.take()
        reserve = reserve_of(settings)
        try:
            folder.empty_tmp()
            folder.quarantine_strange()
            opening = partial(open_with, reserve, partial(_open, folder))
            opened = patiently(opening, folder.root, reserve.release, say=watchman.say)
            with opened as outbox:
                run = _Run(folder, outbox, reserve, watchman=watchman, pulses=pulses)
                run.go_on(settings, read_again)
        finally:
            reserve.hold()  # what stood in for the log, whose blocks were given back just now
            lock.release()


def _open(folder: StateFolder) -> Outbox:
    return open_as_owner(folder.root, now_s=read_clock().utc_s)


class _Run:
    """The daemon on an open outbox: put together anew for every reload."""

    def __init__(
        self,
        folder: StateFolder,
        outbox: Outbox,
        reserve: Reserve,
        *,
        watchman: Watchman,
        pulses: Pulses,
    ) -> None:
        self._folder = folder
        self._outbox = outbox
        self._reserve = reserve
        self._watchman = watchman
        self._pulses = pulses
        self._next: Settings | None = None
        self._disk = Waiting(outbox.pauses, StageName.DAEMON, now=read_clock)

    def go_on(self, settings: Settings, read_again: Callable[[], Settings]) -> None:
        """Run with these settings, then with those that a reload brought, and so on."""
        reloading = Reloading(
            read_again, try_out=_try_out, pauses=self._outbox.pauses, now=read_clock
        )
        watching = Watching(
            pulses=self._pulses,
            on_stopping=self._watchman.manager.tell_stopping,
            on_running=self._has_started,
            on_disk=self._note_disk,
        )
        self._next = settings
        while (settings_now := self._next) is not None and not watching.stop_asked:
            self._next = None
            watching.on_reload = partial(self._reload, reloading, settings_now)
            self._run_once(settings_now, watching)

    def _run_once(self, settings: Settings, watching: Watching) -> None:
        self._pulses.begin(StageName.START, bound_s=START_BOUND_S)
        end_at_once_when_asked()
        renew_reserve(self._reserve, settings)
        stop = StopFlag()
        with api_client(settings, check=stop.check) as client:
            patiently(
                lambda: prepare_outbox(self._outbox, self._folder, settings),
                self._folder.root,
                lambda: self._reserve.release(self._outbox.database),
                say=self._watchman.say,
            )
            self._watchman.describe = partial(describe_station, self._outbox, api_host(settings))
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
            told = "; ".join(f"{stage}: {words}" for stage, words in sorted(refusals.items()))
            self._disk.begin("disk_refuses", told)
        else:
            self._disk.end()

    def _has_started(self) -> None:
        self._pulses.end(StageName.START)
        self._watchman.has_started()

    def _reload(self, reloading: Reloading, settings: Settings) -> bool:
        """Read the settings again; tell whether the stages must end for what they say."""
        self._watchman.manager.tell_reloading()
        self._next = reloading.renew(settings)
        if self._next is None:
            self._watchman.has_started()
        return self._next is not None


def _try_out(settings: Settings) -> None:
    """Make what could fail once nothing runs any more: certificates are read here."""
    state_folder(settings)
    with api_client(settings, check=lambda: None):
        pass

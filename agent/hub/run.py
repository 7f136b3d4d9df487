"""The hub: keeps the broker running and lets stations in, until it is asked to end."""

import asyncio
import contextlib
import json
import os
import signal
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable
from functools import partial

import nats.errors
import nats.js.errors
import structlog
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js import JetStreamContext
from nats.js.api import (
    AckPolicy,
    ConsumerConfig,
    DiscardPolicy,
    KeyValueConfig,
    RetentionPolicy,
    StorageType,
    StreamConfig,
)

from agent.clock import read_clock
from agent.daemon.systemd import NotifySocket
from agent.disk.space import measure
from agent.disk.state_folder import StateFolderLock
from agent.errors import AgentError, BusyError, ConfigError, plain_words
from agent.facility.broker import connect
from agent.facility.keys import FacilityKey, is_public_key
from agent.facility.membership import (
    DESIRED,
    EVENTS_STREAM,
    KEEP_EVENTS_S,
    STATES,
    WORK_STREAM,
    WORKERS,
    MemberKind,
    Membership,
    SiteSubjects,
    Subjects,
    joining,
    split_address,
)
from agent.facility.receiver import POSTER_OF
from agent.facility.work import (
    KEEP_OFFERS_S,
    MOST_DELIVERIES,
    MOST_OFFER_BYTES,
    MOST_OFFERED,
    WORKER_SILENT_S,
)
from agent.hub.chain import MOST_SITE_BYTES, ChainLink, SiteBoard
from agent.hub.fleet_settings import FleetReleases, FleetSettings
from agent.hub.folder import HubFolder, Register
from agent.hub.page import BoardServer
from agent.hub.planning import keep_plans
from agent.hub.server import (
    EVENTS_BYTES,
    SITE_EVENTS_BYTES,
    BrokerProcess,
    end_of_log,
    find_server,
    hub_access,
    storing_fault,
)
from agent.hub.settings import LEAF_PORT, HubSettings
from agent.hub.stations import StationBoard, StationView, targets_document, write_targets
from agent.hub.uplink import UplinkSharer
from agent.retry import Backoff, BackoffTimer
from agent.stage import StageName
from agent.text import counted, read_json

_DUPLICATES_S = 3600.0  # within it the broker itself drops what it has; readers drop the rest
_DESIRED_BYTES = 1 << 26
_STATE_BYTES = MOST_SITE_BYTES  # of a state, a poster or a site's word
_TARGETS_EVERY_S = 2.0
_REGISTER_EVERY_S = 0.5
_BACKOFF = Backoff(base_s=2.0, longest_s=60.0)
_SAVE_EVERY_S = 60.0
_SHARE_EVERY_S = 1.0
_PING_EVERY_S = 60.0
_STORE_EVERY_S, _STORE_LONGEST_S = 10.0, 600.0  # between restarts of a broker that stores nothing
_ROOM_BYTES = 1 << 22  # for its configuration, and the first events
_TRIM_EVERY_S = 10.0
MOST_EVENTS = 10_000  # of one station: more than 300 a day for 30 days
_EVENT_BYTES = 1 << 15
_CANCEL_AGAIN_S = 0.5
_MOST_ASKED = 4096  # bytes of a station that asks to be let in

log = structlog.get_logger(stage=StageName.HUB)


class _Stop:
    """Set by SIGTERM and SIGINT."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.asked.set)


def run_hub(settings: HubSettings) -> None:
    """Run the hub in the foreground until it is asked to end.

    Raises:
        BusyError: another hub runs on this folder.
        ConfigError: the folder or the broker's program cannot be used.
    """
    folder = HubFolder(settings.hub.state)
    program = find_server(settings.hub)
    folder.prepare()
    lock = StateFolderLock(folder.places)
    lock.take()
    board, sites = StationBoard(), SiteBoard()
    board.load(folder.words)
    sites.load(folder.site_words)
    page = BoardServer(settings, folder, board, sites)
    page.start()
    try:
        broker = BrokerProcess(program, settings.hub, folder)
        asyncio.run(_Hub(settings, folder, broker, board, sites).run())
    finally:
        page.stop()
        lock.release()


class _Hub:
    """One run of the hub."""

    def __init__(
        self,
        settings: HubSettings,
        folder: HubFolder,
        broker: BrokerProcess,
        board: StationBoard,
        sites: SiteBoard,
    ) -> None:
        self._site = settings.hub
        self._board = board
        self._sites = sites
        self._chain: tuple[Membership, FacilityKey] | None = None
        self._folder = folder
        self._broker = broker
        self._key = folder.key()
        self._register = Register()
        self._letting_in = asyncio.Lock()
        self._store_every_s = _STORE_EVERY_S
        self._manager = NotifySocket.of(os.environ)

    async def run(self) -> None:
        """Keep the broker running; one that fails is started again after growing pauses."""
        stop, timer = _Stop(), BackoffTimer(_BACKOFF)
        pings = asyncio.create_task(self._ping())
        log.info("hub started", site=self._site.site, listen=self._site.listen)
        while not stop.asked.is_set():
            try:
                await self._serve(stop, timer)
            except (AgentError, OSError, nats.errors.Error, TimeoutError) as error:
                if stop.asked.is_set():
                    continue  # the broker was ended with the hub
                hint = error.hint if isinstance(error, AgentError) else None
                delay_s = timer.note_failure()
                words = plain_words(error)
                log.error("broker failed", error=words, hint=hint, next_try_s=round(delay_s))
                await self._pause(stop, delay_s, error)
            except Exception as error:  # a mistake of ours does not end the hub
                delay_s = timer.note_failure()
                log.exception("broker failed", error=str(error), next_try_s=round(delay_s))
                await self._pause(stop, delay_s, error)
            finally:
                await self._broker.stop()
        self._manager.tell_stopping()
        pings.cancel()
        self._save()
        log.info("hub stopped")

    async def _pause(self, stop: _Stop, delay_s: float, error: Exception) -> None:
        """Wait before the broker is started again."""
        told = f"STATUS=broker failed: {plain_words(error)}"
        self._manager.tell("READY=1", told)  # it keeps retrying
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.asked.wait(), delay_s)

    async def _ping(self) -> None:
        """Notify systemd that this loop runs; never returns."""
        while True:
            self._manager.tell("WATCHDOG=1")
            await asyncio.sleep((self._manager.watchdog_s or _PING_EVERY_S) / 2)

    async def _serve(self, stop: _Stop, timer: BackoffTimer) -> None:
        """Run the broker until it ends, the register changes, or the hub is to end."""
        now_s = read_clock().utc_s
        self._register = self._folder.register().without_expired(now_s=now_s)
        self._board.keep_only(self._register.stations)
        self._chain = self._read_chain()
        await self._broker.start(self._register, hub=self._key, chain=self._chain)
        client = await connect(hub_access(self._site.listen, self._folder, self._key))
        clients = [client]
        try:
            await prepare_streams(client.jetstream(), self._site.site)
            await prepare_sites(client.jetstream(), self._register.sites)
            site = self._site.site
            await keep_plans(client.jetstream(), site, self._folder, self._register)
            await self._publish_wanted(now_s=now_s)
            for kind in MemberKind:
                let_in = partial(self._let_in, client, kind=kind)
                await client.subscribe(f"spotter.{site}.{joining(kind)}.*", cb=let_in)
            await client.subscribe(f"$KV.{STATES}.{site}.*", cb=self._hear)
            await client.subscribe(f"$KV.{STATES}.{site}.*.poster", cb=self._see)
            await client.subscribe(f"$KV.{STATES}.{site}.*.worker", cb=self._hear_worker)
            await client.subscribe(f"$KV.{STATES}.*", cb=self._hear_site)
            known = self._register
            stations, workers = len(known.stations), len(known.workers)
            invited = sum(len(known.invited(kind)) for kind in MemberKind)
            sites = len(known.sites) or None
            log.info(
                "broker started", stations=stations, workers=workers, sites=sites, invited=invited
            )
            timer.note_success()
            self._manager.tell("READY=1", f"STATUS={counted(stations, 'station')} joined")
            await _first(
                stop.asked.wait,
                self._broker.wait,
                self._register_changes,
                self._watch_store,
                self._save_words,
                self._list_targets,
                partial(self._share_uplink, client),
                partial(self._trim_events, client),
                *(await self._tell_chain(client, clients)),
            )
        finally:
            for opened in clients:
                with contextlib.suppress(nats.errors.Error, OSError, TimeoutError):
                    await asyncio.wait_for(opened.close(), 1.0)

    def _read_chain(self) -> tuple[Membership, FacilityKey] | None:
        """Return the chain of this site; files that are damaged stop nothing else."""
        try:
            return self._folder.chain()
        except ConfigError as error:
            log.error("chain ignored", error=str(error), hint=error.hint)
            return None

    async def _tell_chain(
        self, client: Client, clients: list[Client]
    ) -> list[Callable[[], Awaitable[object]]]:
        """Return what sends to the chain, if there is one."""
        if self._chain is None:
            return []
        leaf = await connect(hub_access(self._site.listen, self._folder, self._chain[1]))
        clients.append(leaf)
        link = ChainLink(self._site.site, client, leaf)
        return [partial(link.tell, self._views), link.send]

    def _views(self) -> list[StationView]:
        return self._board.views(self._register, now=read_clock())

    async def _publish_wanted(self, *, now_s: float) -> None:
        """Publish what is wanted of them; a damaged file stops nothing else."""
        try:
            wanted = FleetSettings(self._site, self._folder)
            await asyncio.to_thread(wanted.tell, now_s=now_s)
        except ConfigError as error:
            log.error("settings publish failed", error=str(error), hint=error.hint)
        try:
            releases = FleetReleases(self._site, self._folder)
            await asyncio.to_thread(releases.tell, now_s=now_s)
        except ConfigError as error:
            log.error("release publish failed", error=str(error), hint=error.hint)

    async def _hear(self, message: Msg) -> None:
        """Take a station's word; what cannot be read is left out, as if nothing had come."""
        station = message.subject.rpartition(".")[2]
        if not self._board.hear(station, message.data, now=read_clock()):
            log.debug("state rejected", station=station)

    async def _hear_worker(self, message: Msg) -> None:
        """Take a worker's word."""
        worker = message.subject.split(".")[-2]
        if not self._board.hear_worker(worker, message.data, now=read_clock()):
            log.debug("state rejected", worker=worker)

    async def _hear_site(self, message: Msg) -> None:
        """Take what a site of the chain says of its stations."""
        site = message.subject.rpartition(".")[2]
        if not self._sites.hear(site, message.data, now=read_clock()):
            log.debug("state rejected", site=site)

    async def _see(self, message: Msg) -> None:
        """Take the picture of a station's last take."""
        station, code = message.subject.split(".")[-2], (message.headers or {}).get(POSTER_OF, "")
        if not self._board.see(station, code, message.data):
            log.debug("poster rejected", station=station)

    async def _watch_store(self) -> None:
        """End a broker that stores nothing more, once the disk has room.

        Raises:
            BusyError: it is to be started again.
        """
        told = None
        while True:
            await asyncio.sleep(self._store_every_s)
            fault = storing_fault(await asyncio.to_thread(end_of_log, self._folder))
            if fault is None:
                self._store_every_s = _STORE_EVERY_S
                continue
            hint = f"free disk space: {self._folder.root}"
            if measure(self._folder.root).free_bytes >= _ROOM_BYTES:
                # A disk that refuses every write: the states at least go on meanwhile.
                self._store_every_s = min(2 * self._store_every_s, _STORE_LONGEST_S)
                raise BusyError(fault, hint=hint)
            if fault != told:
                log.error("broker failed", error=fault, hint=hint)
            told = fault

    async def _save_words(self) -> None:
        """Keep every station's last word for the next start; never returns."""
        while True:
            await asyncio.sleep(_SAVE_EVERY_S)
            self._save()

    async def _list_targets(self) -> None:
        """Keep the list of stations for Prometheus up to date; never returns."""
        path, told = self._site.prometheus_targets, ""
        while True:
            await asyncio.sleep(_TARGETS_EVERY_S)
            if path is None:
                continue
            views = self._views()
            try:
                write_targets(path, targets_document(views, site=self._site.site))
                told = ""
            except OSError as error:
                words = plain_words(error)
                if words != told:
                    log.warning("targets write failed", file=str(path), error=words)
                told = words

    async def _share_uplink(self, client: Client) -> None:
        """Publish to every station what it may use of the site's uplink; never returns."""
        sharer, broker = UplinkSharer(self._site), client.jetstream()
        while True:
            now = read_clock()
            views = self._board.views(self._register, now=now) if sharer.shares else []
            for allowance in sharer.due(views, now_s=now.utc_s):
                subject = Subjects(site=allowance.site, station=allowance.station).allowance
                with contextlib.suppress(nats.errors.Error, TimeoutError):  # the next one is near
                    await broker.publish(subject, allowance.sealed(self._key))
            await asyncio.sleep(_SHARE_EVERY_S)

    async def _trim_events(self, client: Client) -> None:
        """Let no station take the place of others' events; never returns."""
        while True:
            await asyncio.sleep(_TRIM_EVERY_S)
            with contextlib.suppress(nats.errors.Error, TimeoutError):  # the next time is near
                trimmed = await trim_events(client.jetstream(), self._site.site)
                for station, count in trimmed.items():
                    log.warning("events trimmed", station=station, events=count)

    def _save(self) -> None:
        with contextlib.suppress(OSError):  # a full disk: the next start knows less
            self._board.save(self._folder.words)
            self._sites.save(self._folder.site_words, self._register.sites)

    async def _register_changes(self) -> None:
        """Return when other stations may come in than those that the broker knows."""
        while True:
            await asyncio.sleep(_REGISTER_EVERY_S)
            now_s = read_clock().utc_s
            try:
                async with self._letting_in:
                    register = self._folder.register().without_expired(now_s=now_s)
                chain = self._folder.chain()
            except AgentError:
                continue  # the command that wrote it reports it; stations stay in
            if register.keys != self._register.keys or _key(chain) != _key(self._chain):
                return

    async def _let_in(self, client: Client, message: Msg, *, kind: MemberKind) -> None:
        """Answer who asks to be let in: the broker starts again to know the new key."""
        station = message.subject.rpartition(".")[2]
        try:
            asked = read_json(message.data[:_MOST_ASKED])
            key = asked["key"]
            if not isinstance(key, str) or not is_public_key(key):
                raise ValueError("no key")
        except (ValueError, TypeError, KeyError):
            log.warning("station rejected", station=station, reason="the request cannot be read")
            return
        now_s = read_clock().utc_s
        async with self._letting_in:  # the broker does not start again before the answer is out
            try:
                self._folder.change(
                    lambda register: register.accept(station, key, now_s=now_s, kind=kind)
                )
            except (AgentError, OSError) as error:
                log.warning("station rejected", station=station, reason=str(error))
                return
            port = LEAF_PORT if self._site.sites is None else split_address(self._site.sites)[1]
            await message.respond(json.dumps({"hub": self._key.public, "port": port}).encode())
            await client.flush()
        if kind is MemberKind.STATION:
            log.info("station joined", station=station)
        elif kind is MemberKind.WORKER:
            log.info("worker joined", worker=station)
        else:
            log.info("site joined", site=station)


async def prepare_streams(broker: JetStreamContext, site: str) -> None:
    """Create what the broker stores: events and plans on disk, states and work in memory.

    States are sent again every two seconds: writing them would wear out the disk.  Work that is
    lost is done by its station.
    """
    events = StreamConfig(
        name=EVENTS_STREAM,
        subjects=[f"spotter.{site}.*.event.>"],
        retention=RetentionPolicy.LIMITS,
        discard=DiscardPolicy.OLD,
        max_age=KEEP_EVENTS_S,
        max_bytes=EVENTS_BYTES,
        max_msg_size=_EVENT_BYTES,
        duplicate_window=_DUPLICATES_S,
        allow_direct=True,
    )
    try:
        await broker.add_stream(events)
    except nats.js.errors.BadRequestError:  # there, of another version
        await broker.update_stream(events)
    # In a bucket as the library makes it, a header of one station could remove all other states.
    states = StreamConfig(
        name=f"KV_{STATES}",
        subjects=[f"$KV.{STATES}.>"],
        storage=StorageType.MEMORY,
        discard=DiscardPolicy.NEW,
        max_msgs_per_subject=1,
        max_msg_size=_STATE_BYTES,
        allow_direct=True,
        allow_rollup_hdrs=False,
        allow_msg_ttl=False,
        deny_delete=True,
    )
    await broker.add_stream(states)
    await broker.create_key_value(
        KeyValueConfig(bucket=DESIRED, direct=True, max_bytes=_DESIRED_BYTES)
    )
    work = StreamConfig(
        name=WORK_STREAM,
        subjects=[f"spotter.{site}.work.analyse.*"],
        retention=RetentionPolicy.WORK_QUEUE,
        storage=StorageType.MEMORY,
        discard=DiscardPolicy.OLD,
        max_msgs_per_subject=MOST_OFFERED,
        max_msg_size=MOST_OFFER_BYTES,
        max_age=KEEP_OFFERS_S,
    )
    await broker.add_stream(work)
    reader = ConsumerConfig(
        durable_name=WORKERS,
        ack_policy=AckPolicy.EXPLICIT,
        ack_wait=WORKER_SILENT_S,
        max_deliver=MOST_DELIVERIES,
        max_ack_pending=-1,
    )
    await broker.add_consumer(WORK_STREAM, reader)


async def trim_events(
    broker: JetStreamContext, site: str, *, most: int = MOST_EVENTS
) -> dict[str, int]:
    """Drop the oldest events of every station that has more than its share.

    Returns:
        How many each such station had.
    """
    stored = await broker.stream_info(EVENTS_STREAM, subjects_filter=">")
    counts: Counter[str] = Counter()
    for subject, count in (stored.state.subjects or {}).items():
        counts[subject.split(".")[2]] += count
    over = {station: count for station, count in counts.items() if count > most}
    for station in over:
        subjects = f"{Subjects(site=site, station=station).events}.>"
        await broker.purge_stream(EVENTS_STREAM, subject=subjects, keep=most)
    return over


async def prepare_sites(broker: JetStreamContext, sites: Iterable[str]) -> None:
    """Create a stream for the events of each site of a chain; those of removed ones go."""
    wanted = {}
    for site in sites:
        subjects = SiteSubjects(site=site)
        wanted[subjects.stream] = StreamConfig(
            name=subjects.stream,
            subjects=[subjects.events],
            discard=DiscardPolicy.OLD,
            max_age=KEEP_EVENTS_S,
            max_bytes=SITE_EVENTS_BYTES,
            duplicate_window=_DUPLICATES_S,
            allow_direct=True,
        )
    there = await _streams(broker)
    for name in there - wanted.keys():
        if name.startswith(SiteSubjects(site="").stream):
            await broker.delete_stream(name)
    for name, config in wanted.items():
        await (broker.update_stream if name in there else broker.add_stream)(config)


async def _streams(broker: JetStreamContext) -> set[str]:
    """Return the names of all streams."""
    names: set[str] = set()
    while found := await broker.streams_info(offset=len(names)):
        before = len(names)
        names |= {one.config.name or "" for one in found}
        if len(names) == before:
            break
    return names


def _key(chain: tuple[Membership, FacilityKey] | None) -> tuple[Membership, str] | None:
    """Return what tells chains, and the keys there, apart."""
    return None if chain is None else (chain[0], chain[1].public)


async def _first(*waits: Callable[[], Awaitable[object]]) -> None:
    """Return when the first of several waits is over; raise what it raises."""
    tasks = [asyncio.ensure_future(wait()) for wait in waits]
    try:
        ended, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        # Again and again: a request whose answer comes in that moment returns it instead, for such
        # is asyncio.wait_for before Python 3.12 (python/cpython#86296).
        left = set(tasks)
        while left:
            for task in left:
                task.cancel()
            _, left = await asyncio.wait(left, timeout=_CANCEL_AGAIN_S)
        await asyncio.gather(*tasks, return_exceptions=True)
    for task in ended:
        task.result()

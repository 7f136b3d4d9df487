"""What the page costs: the start page beside a bare answer, and tablets that watch."""

import contextlib
import http.client
import os
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from agent.web.server import listen_on
from tests.bench.timing import ratio
from tests.seeded import seed
from tests.served_page import ServedPage, free_port, page_settings, served_page
from tests.station import Station, until

_ENTRIES, _WAITING = 5_000, 100
_ROUNDS = 301
_WATCH_S = 30.0
_TABLETS = 2


def bench_page() -> None:
    """Print every figure of the page."""
    with tempfile.TemporaryDirectory(prefix="spotter-bench-") as name:
        _bench_start_page(Path(name))
    with tempfile.TemporaryDirectory(prefix="spotter-bench-") as name:
        _bench_tablets(Path(name))


def _bench_start_page(folder: Path) -> None:
    settings = page_settings(folder, web={"pin": None})
    settings.paths.state.mkdir()
    seed(settings.paths.state, entries=_ENTRIES, waiting=_WAITING)
    with served_page(settings) as page, _bare() as bare:
        start = _asking(page.settings.web.listen, _cookie(page))
        ratios = ratio(start, bare, _ROUNDS)
        print(f"start page with {_ENTRIES:,} clips / a bare Starlette answer: {ratios:.1f}")

        def write() -> None:
            page.outbox.switches.set("bench", repr(time.time()))

        redrawn = ratio(start, bare, _ROUNDS, before=write)
        print(f"the same, where something was written just before: {redrawn:.1f}")


def _bench_tablets(folder: Path) -> None:
    """Compare what the daemon takes of a core with tablets watching, and without."""
    listen = f"127.0.0.1:{free_port()}"
    station = Station(folder, "http://127.0.0.1:9", settings={"web": {"listen": listen}})
    with station.running() as daemon:
        until(lambda: _answers(listen))
        alone = _share_of_core(daemon.pid)
        with contextlib.ExitStack() as tablets:
            for _ in range(_TABLETS):
                tablets.enter_context(_tablet(listen))
            watched = _share_of_core(daemon.pid)
    print(f"the daemon with its page, nobody watching: {alone:.2f} % of a core")
    print(f"{_TABLETS} tablets watching add: {watched - alone:.2f} % of a core")


def _share_of_core(pid: int) -> float:
    """Return how much of a core a process takes, in percent."""
    before, began_s = _cpu_s(pid), time.monotonic()
    time.sleep(_WATCH_S)
    return 100 * (_cpu_s(pid) - before) / (time.monotonic() - began_s)


def _cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextlib.contextmanager
def _tablet(listen: str) -> Iterator[None]:
    """Listen to the page as a tablet does, meanwhile."""
    connection = http.client.HTTPConnection(listen, timeout=60)
    connection.request("GET", "/live")
    answer = connection.getresponse()
    ending = threading.Event()

    def hear() -> None:
        with contextlib.suppress(OSError, AttributeError, ValueError):
            while not ending.is_set() and answer.readline():
                pass

    listener = threading.Thread(target=hear)
    listener.start()
    yield
    ending.set()
    listener.join()  # at the next beat
    connection.close()


def _cookie(page: ServedPage) -> str:
    return f"spotter={page.signer.cookie(page.session())}"


def _asking(listen: str, cookie: str = "") -> Callable[[], None]:
    """Return what asks for the start page over one connection."""
    connection = http.client.HTTPConnection(listen, timeout=30)

    def ask() -> None:
        connection.request("GET", "/", headers={"cookie": cookie})
        answer = connection.getresponse()
        assert answer.status == 200
        answer.read()

    ask()
    return ask


def _answers(listen: str) -> bool:
    connection = http.client.HTTPConnection(listen, timeout=5)
    try:
        connection.request("GET", "/login")
        return connection.getresponse().status in {200, 303}
    except OSError:
        return False
    finally:
        connection.close()


@contextlib.contextmanager
def _bare() -> Iterator[Callable[[], None]]:
    """Serve a bare answer by the same server, and return what asks for it."""

    async def answer(_request: Request) -> Response:
        return PlainTextResponse("bare")

    listen = f"127.0.0.1:{free_port()}"
    config = uvicorn.Config(
        Starlette(routes=[Route("/", answer)]),
        lifespan="off",
        ws="none",
        http="h11",
        loop="asyncio",
        log_config=None,
        access_log=False,
    )
    server = uvicorn.Server(config)
    listener = listen_on(listen)
    thread = threading.Thread(target=lambda: server.run(sockets=[listener]))
    thread.start()
    try:
        until(lambda: _answers(listen) or server.started)
        yield _asking(listen)
    finally:
        server.should_exit = True
        thread.join(10)
        listener.close()

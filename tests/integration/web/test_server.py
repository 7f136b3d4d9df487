"""The page as a part of the daemon: it ends in time, and harms nothing when it is harmed."""

import asyncio
import contextlib
import gc
import json
import socket
import ssl
import threading
import time
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import anyio
import httpx
import pytest
import uvicorn
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID
from starlette.types import Receive, Scope, Send

from agent.clock import Instant, read_clock
from agent.disk.state_folder import OF_SESSIONS, StateFolder
from agent.outbox.devices import Role
from agent.outbox.outbox import Outbox
from agent.stage import StopFlag
from agent.web import server as web_server
from agent.web.auth import Guard, Hosts
from agent.web.server import DaemonSignals, PageServer, listen_on
from agent.web.tls import PageCertificate
from tests.factories import NOW_S, admitted, new_entry
from tests.served_page import ServedPage, page_settings, served_page
from tests.station import until


def connect(page: ServedPage, source: str = "127.0.0.1") -> socket.socket:
    host, _, port = page.settings.web.listen.rpartition(":")
    return socket.create_connection((host, int(port)), timeout=10, source_address=(source, 0))


@contextlib.contextmanager
def listening(client: httpx.Client, path: str) -> Iterator[Iterator[dict[str, object]]]:
    """Listen to the page's live voice."""
    with client.stream("GET", path) as answer:
        lines = answer.iter_lines()
        yield (json.loads(line[6:]) for line in lines if line.startswith("data: "))


def test_it_ends_in_time_whoever_listens(tmp_path: Path) -> None:
    with contextlib.ExitStack() as open_ones:
        with served_page(page_settings(tmp_path)) as page:
            client = open_ones.enter_context(page.client(page.session()))
            told = open_ones.enter_context(listening(client, "/live"))
            assert set(next(told)["parts"]) >= {"state", "station", "takes"}  # type: ignore[call-overload]  # a dictionary
            silent = connect(page)
            open_ones.callback(silent.close)
            ends_s = time.monotonic()
        assert time.monotonic() - ends_s < 6


def test_a_page_that_nobody_asks_hardly_wakes(page: ServedPage) -> None:
    with page.client(page.session()) as client:
        client.get("/healthz")
    began = page.wake_ups()
    time.sleep(2)  # a number over a time: a busy machine makes it smaller
    assert page.wake_ups() - began <= 6


def test_a_listener_hears_what_changed_and_nothing_else(page: ServedPage) -> None:
    with page.client(page.session(Role.WALL)) as client, listening(client, "/wall/live") as told:
        first = next(told)
        assert set(first["parts"]) == {"state", "wallboard"}  # type: ignore[call-overload]  # as above
        page.filming.set()
        try:
            changed = next(event for event in told if event["parts"])
        finally:
            page.filming.clear()
        assert list(changed["parts"]) == ["state"]  # type: ignore[call-overload]  # as above
        assert "Recording" in changed["parts"]["state"]  # type: ignore[index]  # as above
        assert "form" not in changed["parts"]["state"]  # type: ignore[index]  # as above


def test_a_device_that_is_ended_hears_no_more(page: ServedPage) -> None:
    coach = page.session()
    with page.client(coach) as client, listening(client, "/live") as told:
        next(told)
        page.outbox.devices.end(coach.device_id, now_s=read_clock().utc_s)
        list(told)  # comes to its end


def test_many_connections_of_one_neighbour_leave_room_for_others(page: ServedPage) -> None:
    with contextlib.ExitStack() as held:
        for _ in range(40):
            held.enter_context(contextlib.closing(connect(page, "127.0.0.9")))
        with page.client(page.session()) as client:
            assert client.get("/").status_code == 200
        crowded = held.enter_context(contextlib.closing(connect(page, "127.0.0.9")))
        with contextlib.suppress(ConnectionError):
            crowded.sendall(b"GET /login HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
            assert crowded.recv(100) == b""


def test_who_never_shakes_hands_takes_no_more_places_than_others(tmp_path: Path) -> None:
    with (
        served_page(page_settings(tmp_path, web={"tls": "own"})) as page,
        contextlib.ExitStack() as held,
    ):
        for _ in range(24):
            held.enter_context(contextlib.closing(connect(page, "127.0.0.9")))
        for _ in range(40):
            crowded = held.enter_context(contextlib.closing(connect(page, "127.0.0.9")))
            with contextlib.suppress(ConnectionError):
                assert crowded.recv(1) == b""
        trusted = ssl.create_default_context(cafile=str(page.folder.root / "page-cert.pem"))
        address = page.origin.replace("http:", "https:")
        assert httpx.get(f"{address}/login", verify=trusted).status_code == 200


def test_a_crowd_from_many_addresses_shuts_out_neither_coach_nor_stranger(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(web_server, "_MOST", 8)
    with served_page(page_settings(tmp_path)) as page, contextlib.ExitStack() as held:
        coach = page.session()
        with page.client(coach) as client:
            assert client.get("/").status_code == 200
        for last in (11, 12, 13, 14):
            for _ in range(3):
                held.enter_context(contextlib.closing(connect(page, f"127.0.0.{last}")))
        with contextlib.closing(connect(page, "127.0.0.20")) as stranger:
            stranger.sendall(b"GET /login HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
            assert stranger.recv(100).startswith(b"HTTP/1.1 200")
        for last in range(30, 60):  # as many addresses as the network gives, one each
            held.enter_context(contextlib.closing(connect(page, f"127.0.0.{last}")))
        with page.client(coach) as client:
            assert client.get("/").status_code == 200


def test_a_request_that_never_comes_whole_is_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(web_server, "_REQUEST_WITHIN_S", 0.3)
    with served_page(page_settings(tmp_path)) as page:
        answered = b"GET /login HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
        with_body = answered.replace(b"\r\n\r\n", b"\r\nContent-Length: 9\r\n\r\n")
        for first, then in (
            (b"", b""),
            (b"GET / HTTP/1.1\r\nHo", b""),
            (answered, b"GET /"),
            (with_body, b"1"),
            (with_body, b""),
            (with_body.replace(b"GET /login", b"GET /nowhere"), b""),
            (with_body.replace(b"GET /login", b"POST /done"), b""),
            (answered.replace(b"\r\n\r\n", b"\r\nTransfer-Encoding: chunked\r\n\r\n"), b""),
        ):
            with contextlib.closing(connect(page)) as slow:
                slow.sendall(first)
                if then:
                    assert slow.recv(65536).startswith(b"HTTP/1.1 200")
                slow.sendall(then)
                with contextlib.suppress(ConnectionResetError):
                    while slow.recv(65536):
                        pass


def test_a_port_that_is_taken_is_tried_again_later(tmp_path: Path) -> None:
    settings = page_settings(tmp_path)
    folder = StateFolder(settings.paths.state)
    folder.prepare()
    signs = DaemonSignals(is_filming=lambda: False, wake=lambda: None, stop=StopFlag())
    with (
        contextlib.closing(listen_on(settings.web.listen)),
        Outbox.open(folder.root) as outbox,
    ):
        server = PageServer(settings, outbox, folder, signs=signs, now=read_clock)
        assert server.step() > 0
        (pause,) = outbox.pauses.all()
        assert (pause.part, pause.reason) == ("page", "port_taken")
        assert pause.detail == f"{settings.web.listen}: Address already in use"


def test_a_page_that_cannot_be_built_is_recorded_as_waiting_until_it_can(tmp_path: Path) -> None:
    settings = page_settings(tmp_path)
    folder = StateFolder(settings.paths.state)
    folder.prepare()
    in_the_way = folder.root / OF_SESSIONS
    in_the_way.mkdir()
    stop = StopFlag()
    signs = DaemonSignals(is_filming=lambda: False, wake=lambda: None, stop=stop)
    with Outbox.open(folder.root) as outbox:
        server = PageServer(settings, outbox, folder, signs=signs, now=read_clock)
        with pytest.raises(IsADirectoryError):
            server.step()
        (pause,) = outbox.pauses.all()
        assert (pause.part, pause.reason) == ("page", "not_open")
        assert str(in_the_way) in pause.detail and "Errno" not in pause.detail

        in_the_way.rmdir()
        stop.set()
        server.step()
        assert outbox.pauses.all() == []


def test_a_connection_that_comes_as_the_page_ends_is_closed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is accepted in the turn of the loop before the server closes."""
    comes = threading.Event()
    with socket.socket() as late, warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        with served_page(page_settings(tmp_path)) as page:
            host, _, port = page.settings.web.listen.rpartition(":")

            async def tick(_server: uvicorn.Server, _counter: int) -> bool:
                if threading.current_thread() is not page.thread or not comes.is_set():
                    return False
                late.connect((host, int(port)))
                await asyncio.sleep(0)  # the loop sees it wait
                await asyncio.sleep(0)  # and accepts it after this
                return True

            monkeypatch.setattr(uvicorn.Server, "on_tick", tick)
            comes.set()
            page.thread.join(60)
        late.settimeout(10)
        with contextlib.suppress(ConnectionError):
            assert late.recv(1) == b""
        gc.collect()
    assert [str(one.message) for one in told if "unclosed" in str(one.message)] == []


def test_clips_are_sent_by_ranges_and_kept_by_no_browser(page: ServedPage) -> None:
    entry = page.outbox.entries.create(new_entry(admitted(page.outbox, 77)), now_s=NOW_S)
    (page.folder.clips / entry.stored_name).write_bytes(bytes(range(200)))
    with page.client(page.session()) as client:
        part = client.get(f"/clip/{entry.clip_code}", headers={"range": "bytes=10-19"})
        assert (part.status_code, part.content) == (206, bytes(range(10, 20)))
        assert part.headers["cache-control"] == "no-store"
        assert part.headers["content-type"] == "video/mp4"
        assert (
            client.get(f"/clip/{entry.clip_code}", headers={"range": "bytes=900-"}).status_code
            == 416
        )
        assert client.get(f"/picture/{entry.clip_code}.jpg").status_code == 404


def test_with_a_certificate_of_its_own_cookies_go_over_tls_alone(tmp_path: Path) -> None:
    with served_page(page_settings(tmp_path, web={"tls": "own"})) as page:
        key = page.folder.root / "page-key.pem"
        assert key.stat().st_mode & 0o777 == 0o600
        trusted = ssl.create_default_context(cafile=str(page.folder.root / "page-cert.pem"))
        address = page.origin.replace("http:", "https:")
        with httpx.Client(base_url=address, verify=trusted, headers={"origin": address}) as client:
            entered = client.post("/login", data={"pin": "482913"})
            cookie = entered.headers["set-cookie"]
            assert cookie.startswith("__Host-spotter=") and "Secure" in cookie
            assert client.get("/").status_code == 200
        with page.client() as plain:
            redirected = plain.get("/login")
        assert redirected.status_code == 307 and "set-cookie" not in redirected.headers
        first = key.read_bytes()
    with served_page(page.settings):
        assert key.read_bytes() == first


def test_a_certificate_of_its_own_is_renewed_when_it_is_not_valid_now(tmp_path: Path) -> None:
    settings = page_settings(tmp_path, web={"tls": "own"})
    folder = StateFolder(settings.paths.state)
    folder.prepare()
    made = folder.root / "page-cert.pem"
    clock = {"shift_s": 0.0, "trusted": True}

    def now() -> Instant:
        return replace(read_clock().shifted(clock["shift_s"]), trusted=bool(clock["trusted"]))

    certificate = PageCertificate(settings.web, folder, now=now)

    def is_made_anew(shift_days: float, *, trusted: bool = True) -> bool:
        before = made.read_bytes()
        clock.update(shift_s=shift_days * 86400, trusted=trusted)
        certificate.renew()
        certificate.take_over()
        return made.read_bytes() != before

    assert not is_made_anew(0)
    assert not is_made_anew(700)
    assert is_made_anew(745)  # soon over
    assert is_made_anew(-30)  # not begun: the clock ran ahead when it was made
    assert not is_made_anew(-30, trusted=False)
    made.write_bytes(b"damaged")
    assert is_made_anew(0)
    (folder.root / "page-key.pem").unlink()
    assert is_made_anew(0)


def test_a_certificate_of_its_own_names_this_box_and_serves_tablets(tmp_path: Path) -> None:
    with served_page(page_settings(tmp_path, web={"tls": "own"})) as page:
        host, _, port = page.settings.web.listen.rpartition(":")
        content = (page.folder.root / "page-cert.pem").read_bytes()
        trusted = ssl.create_default_context(cadata=content.decode())
        trusted.verify_flags |= ssl.VERIFY_X509_STRICT  # as Python 3.13 does by itself
        for name in (
            "127.0.0.1",
            "localhost",
            socket.gethostname(),
            f"{socket.gethostname()}.local",
        ):
            with (
                socket.create_connection((host, int(port)), timeout=10) as plain,
                trusted.wrap_socket(plain, server_hostname=name) as secured,
            ):
                assert secured.getpeercert(binary_form=True)
        with (
            socket.create_connection((host, int(port)), timeout=10) as plain,
            pytest.raises(ssl.SSLCertVerificationError, match="Hostname mismatch"),
        ):
            trusted.wrap_socket(plain, server_hostname="elsewhere.example")
    held = x509.load_pem_x509_certificate(content)
    lasts = held.not_valid_after_utc - held.not_valid_before_utc
    key = held.public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey) and key.curve.name == "secp256r1"
    assert lasts.days <= 825  # more, and iPads refuse it
    usage = held.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(usage) == [ExtendedKeyUsageOID.SERVER_AUTH]


def test_a_certificate_that_was_renewed_is_shown_without_a_restart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(web_server, "_CERTIFICATE_EVERY_S", 0.1)
    own = []
    for name in ("first", "second"):
        folder = StateFolder(tmp_path / name)
        folder.prepare()
        made = page_settings(tmp_path / name, web={"tls": "own"}).web
        PageCertificate(made, folder, now=read_clock)
        own.append([(folder.root / f"page-{part}.pem").read_bytes() for part in ("cert", "key")])
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    cert.write_bytes(own[0][0])
    key.write_bytes(own[0][1])
    given = {"tls": "given", "tls_cert": str(cert), "tls_key": str(key)}
    with served_page(page_settings(tmp_path, web=given)) as page:
        host, _, port = page.settings.web.listen.rpartition(":")

        def shown() -> bytes:
            return ssl.get_server_certificate((host, int(port)), timeout=10).encode()

        assert shown() == own[0][0]
        cert.write_bytes(own[1][0])  # the key is not there yet: the first is shown on
        time.sleep(0.4)
        assert shown() == own[0][0]
        key.write_bytes(own[1][1])
        until(lambda: shown() == own[1][0])


def test_a_page_that_fails_shows_nothing_of_itself() -> None:
    async def fails(_scope: Scope, _receive: Receive, _send: Send) -> None:
        raise RuntimeError("secret words")

    guard = Guard(fails, hosts=Hosts.of("127.0.0.1", own_name="box", more=()), styles="")

    async def ask() -> httpx.Response:
        transport = httpx.ASGITransport(guard)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            return await client.get("/")

    with ThreadPoolExecutor(1) as pool:  # a loop of its own, whatever runs in this thread
        answer = pool.submit(anyio.run, ask).result()
    assert answer.status_code == 500 and "secret" not in answer.text
    assert answer.headers["x-frame-options"] == "DENY"

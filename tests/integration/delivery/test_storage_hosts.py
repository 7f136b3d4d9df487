"""Videos of storage hosts: fetched without the key, gone on with, and doubted in every way."""

import logging
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.api.downloads import DownloadProgress
from agent.api.transfer import Timeouts
from agent.clock import read_clock
from agent.disk.state_folder import note_of, part_of
from agent.errors import LinkExpiredError, RejectedDownloadError, TemporaryDownloadError
from agent.results.videos import ResumableFile, drop_part
from agent.sandbox.server import Sandbox
from agent.stage import ShutdownRequested
from tests.analysed import analysed_session, link_of, storage_port, storage_requests
from tests.fetching import MOST, VIDEO, World

PUBLIC_API = "https://api.example.com"


@pytest.fixture
def world(tmp_path: Path, sandbox: Sandbox) -> World:
    link = link_of(sandbox, analysed_session(sandbox, VIDEO))
    return World(sandbox=sandbox, final=tmp_path / "one.mp4", link=link)


def test_a_video_comes_whole_without_a_key_and_without_a_word_in_the_logs(
    world: World, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.WARNING)
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")  # left aside

    assert world.fetch() == VIDEO

    (request,) = storage_requests(world.sandbox, 1)
    assert (request.key_form, request.sent_bytes) == (None, len(VIDEO))
    assert caplog.records == []


@pytest.mark.parametrize(
    ("fault", "stall_s"), [("cut:at=60", 60.0), ("reset:at=60", 60.0), ("stall:at=60", 3.0)]
)
def test_after_a_cut_only_the_rest_comes(world: World, fault: str, stall_s: float) -> None:
    world.sandbox.add_fault(f"{fault}@storage")
    world.times = Timeouts(stall_s=stall_s)  # longer than a busy machine needs to begin an answer
    world.refused(TemporaryDownloadError)
    world.times = Timeouts()
    kept = world.kept_bytes

    assert world.fetch() == VIDEO

    assert kept > 0 if fault.startswith("reset") else kept == len(VIDEO) * 60 // 100
    world.sandbox.stopping.set()  # ends what stalls
    rest = [r for r in storage_requests(world.sandbox, 2) if r.status == 206]
    assert [r.sent_bytes for r in rest] == [len(VIDEO) - kept]


@pytest.mark.parametrize("fault", ["no-ranges", "changed"])
def test_a_part_of_no_use_is_begun_anew(world: World, fault: str) -> None:
    world.sandbox.add_fault("cut:at=60@storage")
    world.refused(TemporaryDownloadError)
    world.sandbox.add_fault(fault)

    assert world.fetch() == VIDEO


def test_a_fresh_link_to_the_same_video_goes_on_too(world: World) -> None:
    world.sandbox.add_fault("cut:at=60@storage")
    world.refused(TemporaryDownloadError)
    world.sandbox.link_s = 7200.0
    session = world.sandbox.book.sessions[0]

    assert world.fetch(link_of(world.sandbox, session)) == VIDEO
    assert storage_requests(world.sandbox, 2)[1].sent_bytes == len(VIDEO) * 40 // 100


def test_a_length_that_is_told_too_large_is_found_out_at_the_end(world: World) -> None:
    world.sandbox.add_fault("wrong-length:n=1000")

    assert "broke off" in world.refused(TemporaryDownloadError)
    assert world.fetch() == VIDEO


def test_a_link_that_opens_nothing_any_more_is_told_apart(world: World) -> None:
    world.sandbox.add_fault("410@storage")
    assert "HTTP 410" in world.refused(LinkExpiredError)


HOSTILE = (
    ("html@storage", "it is not a video but text/html", 0),
    ("disguised", "its first bytes are those of another", 0),
    ("packed", "compressed the video", 0),
    ("empty@storage", "HTTP 204", 0),
    ("huge", "larger than the 2 MB", 0),
    ("endless", "larger than the 2 MB", MOST),
    ("redirect:to=loop@storage*always", "redirects in a circle", 0),
    ("redirect:to=chain@storage*always", "more than 5 redirects", 0),
    ("redirect:to=http://192.168.0.1/x.mp4@storage", "192.168.0.1, which is private", 0),
    ("redirect:to=http://169.254.169.254/x@storage", "which is link-local", 0),
    ("redirect:to=http://[::ffff:10.0.0.1]/x@storage", "which is private", 0),
    ("redirect:to=file:///etc/passwd@storage", "not a web address", 0),
    ("redirect:to=@storage", "without an address", 0),
)


def test_a_hostile_answer_harms_nothing_and_ends_in_a_clear_reason(world: World) -> None:
    for fault, told, kept in HOSTILE:
        world.sandbox.clear_faults()
        world.sandbox.add_fault(fault)
        drop_part(world.final)

        assert told in world.refused(RejectedDownloadError), fault
        assert world.kept_bytes <= kept, fault

    world.sandbox.clear_faults()
    assert world.fetch() == VIDEO


def test_a_private_address_is_not_asked_whatever_it_is_called(world: World) -> None:
    world.api_url = PUBLIC_API
    world.names.known["api.example.com"] = [["93.184.216.34"]]
    for host in (
        *("10.0.0.1", "192.168.1.1:8080", "169.254.169.254", "100.64.0.1", "[fd00::1]"),
        *("127.0.0.1", "[::1]", "localhost", "0x7f.1", "2130706433", "[::ffff:127.0.0.1]"),
    ):
        told = world.refused(RejectedDownloadError, f"https://{host}/a.mp4?signature=1")
        assert "not asked" in told, host


def test_a_name_that_leads_inside_is_not_asked(world: World) -> None:
    world.api_url = PUBLIC_API
    world.names.known = {
        "api.example.com": [["93.184.216.34"]],
        "rebind.example.com": [["10.1.2.3", "fe80::1%eth0"]],
    }

    told = world.refused(RejectedDownloadError, "https://rebind.example.com/a.mp4")

    assert told == "rebind.example.com leads to 10.1.2.3, which is private: not asked"


def test_the_address_that_was_judged_is_the_one_that_is_connected_to(world: World) -> None:
    """A name that says something else when it is asked again is never asked again."""
    port = storage_port(world.sandbox)
    world.names.known["storage.test"] = [["127.0.0.1"], ["10.9.9.9"]]
    link = world.link.replace("127.0.0.1", "storage.test")

    assert world.fetch(link) == VIDEO

    assert world.names.asked.count("storage.test") == 1
    assert f"storage.test:{port}" in link


def test_an_api_inside_opens_its_own_address_and_no_other(world: World) -> None:
    world.names.known = {"beside.test": [["127.0.0.2"]], "other.test": [["192.168.0.9"]]}

    for name in world.names.known:
        told = world.refused(RejectedDownloadError, world.link.replace("127.0.0.1", name))
        assert "not asked" in told


def test_the_next_address_is_asked_where_one_cannot_be_reached(world: World) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        dead_port = closed.getsockname()[1]
    world.names.known["storage.test"] = [["::1", "127.0.0.1"]]
    world.names.known["127.0.0.1"] = [["::1", "127.0.0.1"]]

    assert world.fetch(world.link.replace("//127.0.0.1", "//storage.test")) == VIDEO
    told = world.refused(TemporaryDownloadError, f"http://127.0.0.1:{dead_port}/a.mp4")
    assert told == "127.0.0.1 cannot be reached"


def test_a_name_that_is_not_found_may_be_found_later(world: World) -> None:
    told = world.refused(TemporaryDownloadError, "http://storage.invalid/a.mp4")
    assert told == "storage.invalid cannot be found in the network"
    assert "cannot be found" in world.refused(
        TemporaryDownloadError, f"http://{'a' * 70}.test/a.mp4"
    )


@pytest.mark.parametrize("fault", ["slow:rate=20k", "silent@storage"])
def test_what_is_too_slow_is_ended_and_gone_on_with(world: World, fault: str) -> None:
    world.times = Timeouts(connect_s=2, stall_s=0.6, allowance_s=0.5, min_rate_bytes_s=1e6)
    world.sandbox.add_fault(f"{fault}*always" if "@" in fault else f"{fault}@storage*always")

    told = world.refused(TemporaryDownloadError)

    assert "slower than" in told or "no bytes received" in told
    world.sandbox.clear_faults()
    world.times = Timeouts()  # a box that is busy may be slow, too
    assert world.fetch() == VIDEO


def test_our_own_pace_is_not_held_against_the_host(world: World) -> None:
    world.times = Timeouts(connect_s=2, stall_s=4, allowance_s=4, min_rate_bytes_s=1e9)
    waited = threading.Event()

    def pace(progress: DownloadProgress) -> None:
        if progress.part_bytes == 0:
            waited.wait(4.5)

    assert world.fetch(pace=pace) == VIDEO


def test_who_looks_on_may_end_it(world: World) -> None:
    def pace(progress: DownloadProgress) -> None:
        assert progress.can_resume and progress.total_bytes == len(VIDEO)
        if progress.have_bytes > 100_000:
            raise TemporaryDownloadError("gives way")

    with pytest.raises(TemporaryDownloadError, match="gives way"):
        world.fetch(pace=pace)
    assert world.fetch() == VIDEO


def test_the_daemon_ends_it_at_once(world: World) -> None:
    world.sandbox.add_fault("stall:at=10@storage")
    looks = iter(range(2))

    def stop() -> None:
        if next(looks, None) is None:
            raise ShutdownRequested

    with ResumableFile(world.final, now=read_clock) as part, pytest.raises(ShutdownRequested):
        world.storage(check=stop).fetch(
            world.link, part, most_bytes=MOST, pace=lambda _progress: None
        )


@pytest.fixture
def secure(tmp_path: Path) -> Iterator[World]:
    with Sandbox(tls=True) as sandbox:
        link = link_of(sandbox, analysed_session(sandbox, VIDEO))
        yield World(sandbox=sandbox, final=tmp_path / "one.mp4", link=link)


def test_over_tls_the_certificate_is_judged_by_the_name_and_not_by_the_address(
    secure: World,
) -> None:
    secure.names.known = {"localhost": [["127.0.0.1"]], "other.test": [["127.0.0.1"]]}

    assert secure.fetch() == VIDEO
    assert secure.fetch(secure.link.replace("127.0.0.1", "localhost")) == VIDEO
    told = secure.refused(TemporaryDownloadError, secure.link.replace("127.0.0.1", "other.test"))
    assert told.startswith("TLS: the certificate is not for other.test")


def test_tls_is_never_given_up(secure: World, sandbox: Sandbox) -> None:
    secure.sandbox.add_fault(
        f"redirect:to={link_of(sandbox, analysed_session(sandbox, VIDEO))}@storage"
    )

    assert "no TLS" in secure.refused(RejectedDownloadError)
    assert "no TLS" in secure.refused(RejectedDownloadError, secure.link.replace("https:", "http:"))


def test_a_link_is_not_followed_out_of_the_folder(world: World) -> None:
    for place in (part_of(world.final), note_of(world.final)):
        place.symlink_to("/etc/passwd")

        with pytest.raises(OSError, match="symbolic"):
            world.fetch()
        place.unlink()

"""Files that are poison: each is set aside or handled, and a good one behind them gets through."""

import os
import signal
import time
from pathlib import Path

import av
import pytest

from agent.sandbox.server import Sandbox
from tests.station import Station, child_of, delivered, until
from tests.videos import film_run, name_of

MOST_GROWN_BYTES = 16 << 20


def poison(folder: Path, film: bytes) -> None:
    """Lay all kinds of broken files into a folder, and what is no file."""
    files = {
        "empty.mp4": b"",
        "text.mp4": b"not a video\n" * 100,
        "no index.mp4": film[: len(film) // 2],
        "only a header.mp4": film[:64],
        "zeros.mkv": bytes(1 << 20),
        "noise.ts": os.urandom(1 << 18),
        "noise.avi": os.urandom(1 << 18),
        "x.webm": b"\x1a\x45\xdf\xa3" + os.urandom(4096),
        "quotes \"and\" 'those'.mp4": film[:-100] + b"1",
        "line\nbreak.mp4": film[:-100] + b"2",
        "a" * 251 + ".mp4": film[:-100] + b"3",
        os.fsdecode(b"latin \xe9.mp4"): film[:-100] + b"4",
        "-rf.mp4": film[:-100] + b"5",
        "$(reboot).mp4": film[:-100] + b"6",
    }
    for name, content in files.items():
        (folder / name).write_bytes(content)
    (folder / "link.mp4").symlink_to("/etc/passwd")
    os.mkfifo(folder / "pipe.mp4")
    (folder / "folder.mp4").mkdir()
    with (folder / "hollow.mp4").open("wb") as hollow:
        hollow.truncate(1 << 40)  # hours to read


def tagged(film: Path, to: Path, **told: str) -> None:
    """Write the same film with what it tells of itself in words of somebody's own."""
    options = {"movflags": "use_metadata_tags"}
    with av.open(str(film)) as source, av.open(str(to), "w", options=options) as out:
        out.metadata.update(told)
        stream = out.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(source.streams.video[0]):
            if packet.dts is not None:
                packet.stream = stream
                out.mux(packet)


def resident_bytes(process_id: int) -> int:
    pages = Path(f"/proc/{process_id}/statm").read_text(encoding="ascii").split()[1]
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


def test_poison_is_set_aside_and_a_good_clip_behind_it_is_delivered(
    station: Station, sandbox: Sandbox
) -> None:
    left = {"link.mp4", "pipe.mp4", "folder.mp4", "hollow.mp4"}
    with station.running() as daemon:
        film = film_run(station.root / "film.mp4", seed=9)
        until(lambda: 'event="daemon started"' in station.log.read_text())
        before = resident_bytes(daemon.pid)
        poison(station.capture, film.read_bytes())
        tagged(film, station.capture / name_of(2), creation_time="the day before yesterday")
        film.rename(station.capture / name_of(3))
        assert delivered(sandbox, 2)  # it waits for no recording after it that cannot be read
        until(lambda: {path.name for path in station.capture.iterdir()} == left)
        until(
            lambda: not {"captured", "analysing"} & {str(row["state"]) for row in station.rows()},
        )
        grown = resident_bytes(daemon.pid) - before

    assert grown < MOST_GROWN_BYTES
    assert Path("/etc/passwd").exists()
    aside = [row for row in station.rows() if row["state"] == "quarantined"]
    assert all(row["reason"] and row["detail"] for row in aside) and len(aside) >= 8
    assert "Traceback" not in station.log.read_text()


@pytest.mark.soak
def test_a_sparse_file_of_four_gigabytes_costs_time_and_no_memory(
    station: Station, sandbox: Sandbox
) -> None:
    with (station.capture / "huge.mp4").open("wb") as huge:
        huge.truncate(4 << 30)
    film_run(station.root / "film.mp4").rename(station.capture / name_of(1))
    with station.running() as daemon:
        before = resident_bytes(daemon.pid)
        assert delivered(sandbox, 1)
        until(lambda: "quarantined" in {str(row["state"]) for row in station.rows()})
        assert resident_bytes(daemon.pid) - before < MOST_GROWN_BYTES


def test_it_ends_within_ten_seconds_in_the_middle_of_a_cut(
    station: Station, sandbox: Sandbox
) -> None:
    """The cut is stopped in its middle, as a slow one would be, so that the signal meets it."""
    text = station.config.read_text()
    station.config.write_text(f'{text}\n[cut]\nmethod = "encode"\n')
    film_run(station.capture / name_of(1), seconds=8)
    daemon = station.start()
    until(lambda: child_of(daemon.pid) is not None)
    child = child_of(daemon.pid)
    assert child is not None
    while not any((station.state / "tmp").glob("*.mp4")):
        assert daemon.poll() is None
        time.sleep(0.002)
    os.kill(child, signal.SIGSTOP)
    daemon.send_signal(signal.SIGTERM)
    assert daemon.wait(10) == 0

    assert station.entries() == []
    with station.running():
        assert delivered(sandbox, 1)
    assert not list((station.state / "tmp").glob("*.mp4"))

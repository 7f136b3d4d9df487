"""The recorder's process on real sources: what the camera sent is what the files hold."""

import os
import shutil
import signal
import socket
import time
from fractions import Fraction
from pathlib import Path

import pytest
from av.video.frame import VideoFrame

from agent.camera_link import LineReader, RecorderReport, RecorderState, RecorderTrouble
from agent.clock import read_clock
from agent.intake.stage import read_sidecar
from agent.recorder.cutting import BeginFile, EndReason
from agent.recorder.files import CaptureWriter, StorageError
from agent.recorder.packets import StreamPacket
from agent.recorder.source import CameraFormat, encode_picture, new_encoder
from agent.wakeup import short_path
from tests.recorder import RecorderUnderTest, Scheduling, make_video, payloads, shown_s
from tests.refusing_disk import build
from tests.rtsp import free_port, rtsp_server
from tests.station import until


@pytest.fixture(scope="module")
def with_b_frames(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two seconds with three B-frames in a row."""
    return make_video(tmp_path_factory.mktemp("video") / "b.mp4", seconds=2.2, b_frames=3)


def ended(recorder: RecorderUnderTest) -> bool:
    return "ended the stream" in recorder.said()


@pytest.mark.parametrize(
    "transport",
    ["tcp", pytest.param("udp", marks=pytest.mark.soak)],  # which loses packets on a busy machine
)
def test_a_stream_with_b_frames_is_stored_packet_by_packet(
    tmp_path: Path, with_b_frames: Path, transport: str
) -> None:
    """Of an RTSP camera: same bytes, decode times rebuilt, every picture shown at its time."""
    with rtsp_server(with_b_frames) as camera:
        source = f'{camera.address}"\ntransport = "{transport}'
        recorder = RecorderUnderTest(tmp_path, source, segment_s=60)
        with recorder.running():
            until(lambda: recorder.files())
            (file, *_) = recorder.files()
    sent = payloads(with_b_frames)
    assert payloads(file) == sent
    times = shown_s(file)
    assert len(times) == len(sent) and times == sorted(times)
    told = recorder.sidecar(file)
    read = read_sidecar(file.with_name(f"{file.name}.json"))
    assert read is not None
    # By when they came, and on a busy machine the first packets come late, and then all at once.
    assert 0.5 < read.start.elapsed_s(read.end) < len(sent) / 25 + 5
    assert told["size_bytes"] == file.stat().st_size
    assert (told["camera"], told["armed_by"], told["ended_by"]) == ("main", "always", "stream")


def test_segments_continue_each_other_without_a_gap(tmp_path: Path, with_b_frames: Path) -> None:
    recorder = RecorderUnderTest(tmp_path, str(with_b_frames), segment_s=2)
    with recorder.running():
        until(lambda: ended(recorder))
    first, second, *_ = recorder.files()
    assert payloads(first) + payloads(second) == payloads(with_b_frames)
    assert recorder.sidecar(second)["continues"] == first.name
    read = read_sidecar(second.with_name(f"{second.name}.json"))
    assert read is not None and read.continues == first.name
    assert len(shown_s(first)) == 50 and len(shown_s(second)) == 5


def test_what_is_not_h264_is_encoded_once(tmp_path: Path) -> None:
    video = make_video(tmp_path / "source.avi", seconds=1.2, codec="mjpeg")
    recorder = RecorderUnderTest(tmp_path, str(video))
    with recorder.running():
        until(lambda: ended(recorder))
    file = recorder.files()[0]
    assert len(shown_s(file)) == 30


def test_the_drawn_athlete_is_filmed_live(tmp_path: Path) -> None:
    recorder = RecorderUnderTest(tmp_path, "test:", segment_s=2)
    with recorder.running():
        until(lambda: len(recorder.files()) >= 2)
    first, second, *_ = recorder.files()
    times = shown_s(first)
    assert len(times) >= 20 and times == sorted(times)
    assert recorder.sidecar(second)["continues"] == first.name


def test_sigterm_ends_the_last_file_whole(tmp_path: Path) -> None:
    video = make_video(tmp_path / "long.mp4", seconds=20)
    recorder = RecorderUnderTest(tmp_path, str(video))
    hidden = recorder.capture / ".recorder-main"
    with recorder.running() as process:
        until(lambda: any(path.stat().st_size > 4000 for path in hidden.glob("*")))
        assert not recorder.files()
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0
    (file,) = recorder.files()
    assert payloads(file) == payloads(video)[: len(payloads(file))]
    assert recorder.sidecar(file)["ended_by"] == "shutdown"
    assert not list(hidden.iterdir())
    assert file.stat().st_mode & 0o777 == 0o660


@pytest.mark.parametrize(
    "point", ["recorder-closed", "recorder-synced", "recorder-sidecar-placed", None]
)
def test_killed_anywhere_the_file_gets_its_place_at_the_next_start(
    tmp_path: Path, with_b_frames: Path, point: str | None
) -> None:
    video = with_b_frames if point else make_video(tmp_path / "long.mp4", seconds=20)
    recorder = RecorderUnderTest(tmp_path, str(video))
    hidden = recorder.capture / ".recorder-main"
    with recorder.start(**({} if point is None else {"SPOTTER_CRASH_AT": point})) as process:
        if point is None:
            until(lambda: any(path.stat().st_size > 4000 for path in hidden.glob("*.mkv")))
            process.kill()
        assert process.wait(30) == -signal.SIGKILL
    assert not recorder.files()
    (left,) = hidden.glob("*.mkv")
    with recorder.running():
        until(lambda: left.name in [path.name for path in recorder.files()])
    file = recorder.capture / left.name
    beside = file.with_name(f"{file.name}.json")
    assert beside.exists() == (point == "recorder-sidecar-placed")
    stored = payloads(file)
    assert stored and payloads(video)[: len(stored)] == stored


def test_what_a_kill_left_before_its_first_picture_gets_no_place(
    tmp_path: Path, with_b_frames: Path
) -> None:
    recorder = RecorderUnderTest(tmp_path, str(with_b_frames), segment_s=60)
    with recorder.running():
        until(lambda: ended(recorder))
    whole = recorder.files()[0].read_bytes()
    first = whole.index(b"\x1f\x43\xb6\x75")  # of the pictures
    hidden = recorder.capture / ".recorder-main"
    for name, size in (("head", first), ("cut", 100), ("nothing", 0), ("picture", len(whole) // 2)):
        (hidden / f"main-{name}.mkv").write_bytes(whole[:size])
    with recorder.running():
        until(lambda: not list(hidden.glob("main-[hcnp]*")))
    names = {path.name for path in recorder.files()}
    assert "main-picture.mkv" in names
    assert not names & {"main-head.mkv", "main-cut.mkv", "main-nothing.mkv"}
    assert payloads(recorder.capture / "main-picture.mkv")


def test_a_password_is_in_no_log_and_no_process_list(tmp_path: Path, with_b_frames: Path) -> None:
    (tmp_path / "password").write_text("s3cret/right?\n")
    with rtsp_server(with_b_frames, password="s3cret/right?") as camera:
        address = camera.address
        right = RecorderUnderTest(
            tmp_path / "right",
            address.replace("://", "://kim@") + f'"\npassword_file = "{tmp_path / "password"}',
        )
        with right.running() as process:
            until(right.files)
            words = Path(f"/proc/{process.pid}/cmdline").read_bytes()
    assert "s3cret" not in right.said() and b"s3cret" not in words


def test_a_camera_that_comes_back_is_filmed_again_and_nothing_is_lost_before(
    tmp_path: Path, with_b_frames: Path
) -> None:
    port = free_port()
    recorder = RecorderUnderTest(tmp_path, f"rtsp://127.0.0.1:{port}/x")
    with recorder.running():
        until(lambda: "refuses the connection" in recorder.said())
        for count in (1, 2):
            with rtsp_server(with_b_frames, port=port):
                back_s = time.monotonic()
                until(lambda: recorder.said().count("camera connected") >= count)  # noqa: B023
                assert time.monotonic() - back_s < 10
                until(lambda: len(recorder.files()) >= count)  # noqa: B023
    for file in recorder.files()[:2]:
        assert payloads(file) == payloads(with_b_frames)


def test_a_stream_that_stands_still_is_lost_within_five_seconds_and_its_file_is_whole(
    tmp_path: Path,
) -> None:
    video = make_video(tmp_path / "long.mp4", seconds=20)
    with rtsp_server(video) as camera:
        recorder = RecorderUnderTest(tmp_path, camera.address)
        hidden = recorder.capture / ".recorder-main"
        with recorder.running(), Scheduling() as scheduling:
            until(lambda: any(path.stat().st_size > 4000 for path in hidden.glob("*.mkv")))
            camera.process.send_signal(signal.SIGSTOP)
            stood_s = time.monotonic()
            until(lambda: "camera lost" in recorder.said())
            assert time.monotonic() - stood_s < 5 + 6 * scheduling.latest_s
            (file,) = recorder.files()
    stored = payloads(file)
    assert stored and stored == payloads(video)[: len(stored)]


def test_a_missing_folder_is_said_and_filming_goes_on_once_it_is_there(tmp_path: Path) -> None:
    video = make_video(tmp_path / "long.mp4", seconds=30)
    recorder = RecorderUnderTest(tmp_path, str(video), segment_s=2)
    shutil.rmtree(recorder.capture)
    with recorder.running() as process:
        until(lambda: "recording not stored" in recorder.said())
        assert "is missing" in recorder.said()
        assert process.poll() is None
        recorder.capture.mkdir()
        until(lambda: recorder.files())
    assert "recording resumed" in recorder.said()


def test_of_two_recorders_of_one_name_one_records_until_it_ends(tmp_path: Path) -> None:
    video = make_video(tmp_path / "long.mp4", seconds=60)
    first = RecorderUnderTest(tmp_path / "first", str(video), segment_s=2)
    second = RecorderUnderTest(tmp_path / "second", str(video))
    folder = f'capture = "{second.capture}"'
    second.config.write_text(
        second.config.read_text().replace(folder, f'capture = "{first.capture}"')
    )
    with first.running() as running:
        until(lambda: list(first.capture.rglob("*.mkv")))
        with second.running():
            until(lambda: "in use by another recorder named main" in second.said())
            placed = len(first.files())
            until(lambda: len(first.files()) >= placed + 2)
            assert "file recorded" not in second.said() and "interrupted" not in second.said()
            running.terminate()
            until(lambda: "recording resumed" in second.said())
    assert "file recorded" in second.said()
    for path in first.files():
        assert first.sidecar(path) and len(shown_s(path)) == len(payloads(path))


def test_what_a_refusal_left_hidden_gets_its_place_before_the_next_file_begins(
    tmp_path: Path,
) -> None:
    # Otherwise it waits for a moment without a file, which a camera that always films has not.
    encoder = new_encoder(64, 64, Fraction(25))
    camera = CameraFormat("h264", 64, 64, encoder)
    sent = [
        StreamPacket(packet.payload, packet.pts_s or 0.0, 0.04, packet.is_keyframe, at_s)
        for at_s in (100.0 + number / 25 for number in range(30))
        for packet in encode_picture(encoder, VideoFrame(64, 64, "yuv420p"), at_s=at_s)
    ]
    writer = CaptureWriter(tmp_path, "main", min_free_bytes=0.0, now=read_clock)

    def ended(*, is_refused: bool = False) -> Path | None:
        """Write one file, which follows the one before without a gap."""
        writer.begin(BeginFile(tuple(sent), "always", continues=True), camera)
        (hidden,) = (tmp_path / ".recorder-main").glob("*.mkv")
        if is_refused:
            (tmp_path / hidden.name).mkdir()  # in its place
        return writer.end(EndReason.SEGMENT, delay_s=None, lost=0)

    def continued(path: Path) -> str | None:
        told = read_sidecar(path.with_name(f"{path.name}.json"))
        assert told is not None
        return told.continues

    first, second = ended(), ended()
    assert first is not None and second is not None
    assert continued(second) == first.name
    with pytest.raises(StorageError):
        ended(is_refused=True)
    last = ended()
    assert last is not None and continued(last) is None  # not the second one
    (placed,) = {path for path in tmp_path.glob("*.mkv") if path.is_file()} - {first, second, last}
    assert len(shown_s(placed)) == len(sent)


def test_a_disk_that_hangs_is_told_though_the_thread_that_films_hangs_with_it(
    tmp_path: Path,
) -> None:
    recorder = RecorderUnderTest(tmp_path, str(make_video(tmp_path / "long.mp4", seconds=60)))
    disk = build(tmp_path, folder=recorder.capture)
    with socket.socket(socket.AF_UNIX) as station, recorder.running(**disk.environment):
        with short_path(recorder.socket) as short:
            station.bind(short)
        station.listen()
        link, lines = station.accept()[0], LineReader()

        def told() -> RecorderReport | None:
            """Return the next report."""
            found = [one["report"] for one in lines.take(link.recv(65536)) if "report" in one]
            return RecorderReport.of_message(found[-1]) if found else None

        with link:
            until(lambda: (one := told()) and one.state is RecorderState.RECORDING)
            with disk.hanging():
                until(lambda: (one := told()) and one.state is RecorderState.NOT_STORED)
                hung = told()
                assert hung is not None and "does not answer" in str(hung.error)
                assert hung.trouble is RecorderTrouble.NOT_WRITABLE
            until(lambda: (one := told()) and one.state is RecorderState.RECORDING)
    (file,) = recorder.files()
    assert len(shown_s(file)) == len(payloads(file))


def test_a_disk_without_room_is_said_and_nothing_is_written(tmp_path: Path) -> None:
    video = make_video(tmp_path / "long.mp4", seconds=30)
    recorder = RecorderUnderTest(tmp_path, str(video), segment_s=2)
    room = os.statvfs(tmp_path)
    most_mb = room.f_blocks * room.f_frsize // 1_000_000 + 1
    text = recorder.config.read_text()
    recorder.config.write_text(text.replace("min_free_mb = 0", f"min_free_mb = {most_mb}"))
    with recorder.running() as process:
        until(lambda: "recording not stored" in recorder.said())
        assert "MB free" in recorder.said()
        assert process.poll() is None
    assert not recorder.files()


def test_a_mistake_in_the_settings_ends_with_78_and_without_the_address(tmp_path: Path) -> None:
    recorder = RecorderUnderTest(tmp_path, "ftp://kim:s3cret@host/x", more="nonsense = 1\n")
    process = recorder.start()
    assert process.wait(20) == 78
    told = recorder.said()
    assert "camera.source" in told and "station.nonsense" in told
    assert "s3cret" not in told and "Traceback" not in told


def test_a_wrong_mode_names_those_there_are(tmp_path: Path) -> None:
    recorder = RecorderUnderTest(tmp_path, "test:", arm="sometimes")
    assert recorder.start().wait(20) == 78
    assert "must be assigned, always or a timetable" in recorder.said()

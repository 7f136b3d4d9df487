"""Pictures are decoded forward from the last keyframe, small enough, and tell their age."""

from pathlib import Path

import pytest

from agent.camera_link import PictureKind, StillPicture
from agent.recorder.filming import StillSource
from agent.recorder.packets import StreamPacket
from agent.recorder.policy import FilmedCamera
from agent.recorder.run import StillMaker
from agent.recorder.source import CameraError, CameraFormat, opened_camera
from tests.recorder import make_video, shown_s


def filmed(path: Path) -> tuple[list[StreamPacket], CameraFormat]:
    """Return a file's packets as if a camera had sent them from 0 s on, and what they are."""
    with opened_camera(FilmedCamera(name="main", source=str(path))) as camera:
        packets = [
            StreamPacket(one.payload, one.pts_s or 0.0, 0.0, one.is_keyframe, one.pts_s or 0.0)
            for one in camera.packets()
        ]
        return packets, camera.format


@pytest.fixture(scope="module")
def stream(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[StreamPacket], CameraFormat]:
    """A second of video with B-frames, one keyframe only."""
    folder = tmp_path_factory.mktemp("stream")
    return filmed(make_video(folder / "one.mp4", seconds=1.0, b_frames=2, size=720))


def test_a_picture_is_of_this_moment_and_not_of_the_last_keyframe(
    stream: tuple[list[StreamPacket], CameraFormat], tmp_path: Path
) -> None:
    packets, camera = stream
    source, maker = StillSource(packets[0], camera), StillMaker()
    first = maker.make(source, now_s=0.04, kind=PictureKind.LIVE)
    for packet in packets[1:]:
        source.add(packet)
    pictures: list[StillPicture] = []
    while not pictures or pictures[-1].age_s > 0.3:  # a slow box decodes on with the next request
        pictures.append(maker.make(source, now_s=packets[-1].filmed_s, kind=PictureKind.LIVE))
    fine = maker.make(source, now_s=packets[-1].filmed_s, kind=PictureKind.FINE)

    assert first.age_s == pytest.approx(0.04)
    assert pictures[-1].jpeg != first.jpeg
    assert len(pictures[-1].jpeg) < 70_000 and len(fine.jpeg) > len(pictures[-1].jpeg)
    (tmp_path / "seen.jpg").write_bytes(fine.jpeg)
    assert shown_s(tmp_path / "seen.jpg") == [0.0]


def test_what_follows_a_lost_packet_or_too_many_is_not_decoded(
    stream: tuple[list[StreamPacket], CameraFormat],
) -> None:
    packets, camera = stream
    source = StillSource(packets[0], camera)
    source.end()
    source.add(packets[1])

    picture = StillMaker().make(source, now_s=9.0, kind=PictureKind.LIVE)

    assert len(source.packets) == 1
    assert picture.age_s == pytest.approx(9.0)  # and it says how old it is


def test_a_glance_is_the_last_keyframe_and_its_age_is_said(
    stream: tuple[list[StreamPacket], CameraFormat],
) -> None:
    packets, camera = stream
    source, maker = StillSource(packets[0], camera), StillMaker()
    first = maker.make(source, now_s=0.04, kind=PictureKind.LIVE)
    for packet in packets[1:]:
        source.add(packet)

    glance = maker.make(source, now_s=packets[-1].filmed_s, kind=PictureKind.GLANCE)
    later = maker.make(source, now_s=30.0, kind=PictureKind.GLANCE)

    assert glance.jpeg == first.jpeg == later.jpeg
    assert glance.age_s == pytest.approx(packets[-1].filmed_s)
    assert later.age_s == pytest.approx(30.0)


def test_a_silent_camera_has_no_picture() -> None:
    with pytest.raises(CameraError, match="no picture now"):
        StillMaker().make(None, now_s=0.0, kind=PictureKind.LIVE)

"""The cameras that the set-up page offers."""

from pathlib import Path

from agent.web.views.camera import VideoDevice, video_devices


def test_of_every_camera_that_is_plugged_in_the_node_that_gives_pictures_is_offered(
    tmp_path: Path,
) -> None:
    nodes = {"video10": ("0", "Cam\u202e B"), "video2": ("0", "Cam A"), "video3": ("1", "Cam A")}
    for node, (index, name) in nodes.items():
        (tmp_path / node).mkdir()
        (tmp_path / node / "index").write_text(f"{index}\n")
        (tmp_path / node / "name").write_text(f"{name}\n")
    (tmp_path / "video4").mkdir()  # unplugged at this moment

    assert video_devices(tmp_path) == [
        VideoDevice(path="/dev/video2", name="Cam A"),
        VideoDevice(path="/dev/video10", name="Cam B"),
    ]
    assert video_devices(tmp_path / "none") == []

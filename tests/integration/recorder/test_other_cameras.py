"""What cameras of other makers do, and GStreamer's server never does by itself."""

from pathlib import Path

from tests.faulty_camera import make_footage
from tests.recorder import RecorderUnderTest
from tests.scripted_camera import Script, scripted_camera
from tests.station import until


def test_a_clock_in_reports_that_stands_still_interrupts_no_pictures(tmp_path: Path) -> None:
    # Of a stream with sound, libav would move the pictures' times by it at each report.
    footage = make_footage(tmp_path / "usual.au", size=64)
    script = Script(has_sound=True, reported_s=lambda _passed_s: 0.0)
    with scripted_camera(footage, script) as camera:
        recorder = RecorderUnderTest(tmp_path, camera.address)
        with recorder.running():
            until(lambda: "camera connected" in recorder.said())
            sent = camera.reports
            until(lambda: camera.reports >= sent + 5)
    assert "interrupted" not in recorder.said()
    assert [recorder.sidecar(path)["ended_by"] for path in recorder.files()] == ["shutdown"]

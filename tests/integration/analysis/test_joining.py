"""Two recordings that adjoin become one, frame by frame."""

from pathlib import Path

import numpy as np
import pytest

from analysis.cut.clip import cut_clip
from analysis.cut.copy import CannotCopy
from analysis.cut.join import JoinPart, join_recordings
from analysis.video import open_video, read_packets
from tests.footage import Form, record
from tests.integration.analysis.test_cut import frames_of, quiet

FROM_S, UNTIL_S = 1.2, 0.7
ALIKE = {
    "h264": Form(),
    "uneven": Form(uneven=True),
    "turned": Form(suffix=".mov", rotation_deg=90),
    "mkv": Form(suffix=".mkv"),
    "mpeg-ts": Form(suffix=".ts"),
    "hevc": Form(codec="libx265", codec_options=(("x265-params", "log-level=none"),)),
    "vp9": Form(codec="libvpx-vp9", suffix=".webm", codec_options=(("cpu-used", "8"),)),
    "mpeg4": Form(codec="mpeg4", suffix=".avi"),
}


def join(first: Path, second: Path, out: Path, *, overlap_s: float = 0.0) -> list[float]:
    """Join two recordings, of which the second begins so long before the first ends."""
    ends_s = read_packets(first).span.end_s - overlap_s
    begins_s = (read_packets(first).span.start_s, read_packets(second).span.start_s)
    return join_recordings(
        [
            JoinPart(path=first, start_s=begins_s[0] + FROM_S, end_s=ends_s),
            JoinPart(path=second, start_s=begins_s[1], end_s=begins_s[1] + UNTIL_S),
        ],
        out,
        on_progress=quiet,
    )


@pytest.mark.parametrize("form", ALIKE.values(), ids=ALIKE)
def test_every_frame_of_both_is_there_at_its_time(form: Form, tmp_path: Path) -> None:
    sources = record(tmp_path / "first", form), record(tmp_path / "second", form)
    one, other = (frames_of(source) for source in sources)
    begins_s = one[0][0], other[0][0]

    first_shift_s, second_shift_s = join(*sources, tmp_path / "joined.mp4")

    shown = frames_of(tmp_path / "joined.mp4")
    expected = [(at_s + first_shift_s, picture) for at_s, picture in one]
    expected = [(at_s, picture) for at_s, picture in expected if at_s > -0.001]
    assert 15 < len(expected) <= 60 and expected[0][0] == pytest.approx(0.0, abs=0.001)
    step_s = other[0][0] + second_shift_s - expected[-1][0]
    assert step_s == pytest.approx(1 / form.fps, abs=0.02)
    expected += [(at_s + second_shift_s, picture) for at_s, picture in other]
    for (wanted_s, wanted), (at_s, picture) in zip(expected, shown, strict=False):
        assert at_s == pytest.approx(wanted_s, abs=0.0015)
        assert np.array_equal(wanted, picture)
    assert shown[-1][0] >= UNTIL_S + begins_s[1] + second_shift_s
    with open_video(sources[0]) as a, open_video(tmp_path / "joined.mp4") as b:
        next(a.decode()), next(b.decode())
        assert a.rotation_deg == b.rotation_deg


def test_a_clip_over_both_is_cut_like_any_other(tmp_path: Path) -> None:
    sources = record(tmp_path / "first", Form()), record(tmp_path / "second", Form())
    first_shift_s, second_shift_s = join(*sources, tmp_path / "joined.mp4")

    made = cut_clip(
        tmp_path / "joined.mp4",
        start_s=FROM_S + first_shift_s,
        end_s=UNTIL_S + second_shift_s,
        out=tmp_path / "clip.mp4",
        on_progress=quiet,
    )

    assert made.method == "copy"
    assert made.clip_seconds == pytest.approx(2.0 - FROM_S + UNTIL_S, abs=0.1)


@pytest.mark.parametrize(
    ("second", "why"),
    [
        (Form(codec="mpeg4"), "codecs"),
        (Form(size=(120, 90)), "sizes"),
        (Form(codec_options=(("preset", "ultrafast"),)), "encoder settings"),
    ],
)
def test_recordings_that_are_not_encoded_alike_stay_two(
    second: Form, why: str, tmp_path: Path
) -> None:
    sources = record(tmp_path / "first", Form()), record(tmp_path / "second", second)

    with pytest.raises(CannotCopy, match=why):
        join(*sources, tmp_path / "joined.mp4")

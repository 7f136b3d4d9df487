"""Labelled footage shown in other ways: mirrored, brighter, smaller, faster.

Each is a video that somebody might as well have filmed, with a label that is known.  A threshold
that a video passes by luck is passed in some of these and not in others.
"""

import csv
import re
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from tests.accuracy.remembered import content_of
from tests.needs import need


@dataclass(frozen=True, slots=True)
class Variant:
    """One way to show a video."""

    look: str  # FFmpeg's filters
    times: float = 1.0  # how long it lasts, of the original
    quality: int = 18  # x264's, a lower one is better
    later_s: float = 0.0  # what comes before it


_AROUND_S = 12
VARIANTS = {
    "mirrored": Variant("hflip"),
    "bright": Variant("eq=brightness=0.05"),
    "dark": Variant("eq=brightness=-0.05:contrast=0.95"),
    "pale": Variant("eq=gamma=1.25:saturation=0.7"),
    "small": Variant("scale=trunc(iw*0.375)*2:trunc(ih*0.375)*2"),
    "near": Variant("crop=trunc(iw*0.47)*2:trunc(ih*0.47)*2"),
    "soft": Variant("gblur=sigma=1.2"),
    "tilted": Variant("rotate=2*PI/180:ow=iw:oh=ih"),
    "coarse": Variant("null", quality=34),
    "fast": Variant("setpts=PTS/1.15", times=1 / 1.15),
    "slow": Variant("setpts=PTS*1.15", times=1.15),
    # a longer recording: people wait, as they stand in the first picture and in the last one
    "waiting": Variant(
        "tpad=start_mode=clone:stop_mode=clone:"
        f"start_duration={_AROUND_S}:stop_duration={_AROUND_S},noise=alls=2:allf=t",
        later_s=_AROUND_S,
    ),
}
_TIMES = ("efforts", "outer", "active_start_s", "active_end_s")


def write_variants(folder: Path, kept_in: Path, *, names: Iterable[str] = VARIANTS) -> Path:
    """Write every video of a folder with labels.tsv in other ways, where that was not done yet.

    Returns:
        The folder with these videos and their labels.tsv.

    Raises:
        ValueError: there are no labels beside the videos.
    """
    source = folder / "labels.tsv"
    if not source.exists():
        raise ValueError(f"{folder}: no labels.tsv beside its videos")
    with source.open(encoding="utf-8-sig", newline="") as listed:
        reader = csv.DictReader(listed, delimiter="\t")
        rows, columns = list(reader), list(reader.fieldnames or ())
    out = kept_in / "variants" / folder.resolve().name
    out.mkdir(parents=True, exist_ok=True)
    with (out / source.name).open("w", encoding="utf-8", newline="") as written:
        labels = csv.DictWriter(written, columns, delimiter="\t")
        labels.writeheader()
        for name in names:
            for row in rows:
                if not (folder / row["file"]).is_file():  # the footage itself was told of it
                    continue
                video, variant = _shown(folder / row["file"], name, out), VARIANTS[name]
                times = {key: _later(row[key] or "", variant) for key in _TIMES if key in columns}
                labels.writerow({**row, **times, "file": video.name})
    return out


def _shown(video: Path, name: str, out: Path) -> Path:
    variant = VARIANTS[name]
    shown = out / f"{name}-{video.stem}-{content_of(video)[:8]}.mp4"
    if not shown.exists():
        begun = shown.with_suffix(".new.mp4")
        subprocess.run(
            [
                *(need(Path("/usr/bin/ffmpeg"), "ffmpeg"), "-v", "error", "-y", "-i", video, "-an"),
                *("-vf", f"{variant.look},format=yuv420p", "-c:v", "libx264"),
                *("-preset", "veryfast", "-crf", str(variant.quality), begun),
            ],
            check=True,
        )
        begun.rename(shown)
    return shown


def _later(cell: str, variant: Variant) -> str:
    def moved(number: re.Match[str]) -> str:
        return f"{float(number[0]) * variant.times + variant.later_s:.2f}"

    return re.sub(r"\d+(?:\.\d+)?", moved, cell)

"""What a station and a worker send each other about a capture, and the bounds of it.

An offer goes by the hub's work queue to one worker.  Everything else goes between worker and
station: each request begins with one line of JSON, each answer with + or, refused, with -.  What
comes from a worker is checked here like a file from a stranger.
"""

import json
import zlib
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

PART_BYTES = 160 * 1024  # of a capture or of findings, in one message; the broker lets 256 KiB pass
MOST_OFFERED = 4  # captures of one station at a time
MOST_OFFER_BYTES = 32 * 1024
KEEP_OFFERS_S = 600.0
WORKER_SILENT_S = 10.0  # then another worker gets the offer
MOST_DELIVERIES = 5
LONGEST_JOB_S = 1800.0  # for one capture, whatever station and worker say
SIGN_EVERY_S = 2.0  # of a worker, to the hub and to the station
MOST_FINDINGS_BYTES = 8 << 20  # compressed
_MOST_PLAIN_BYTES = 16 << 20  # takes about 300 MB to check; the landmarks of half an hour or more
_MOST_LOOKS = 500_000
_SLACK_S = 0.5  # what a time may be outside of the capture, which is measured twice

_Text = Annotated[str, Field(max_length=40, pattern=r"^[a-zA-Z0-9_.:\- ]*$")]
_Hash = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
_Token = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{43}$")]
_Count = Annotated[int, Field(ge=0, le=10**7)]
_Pixels = Annotated[int, Field(ge=0, le=100_000)]
_Size = Annotated[int, Field(ge=0, le=1 << 40)]
_Moment = Annotated[float, Field(ge=-1, le=1e6, allow_inf_nan=False)]
_Measure = Annotated[float, Field(ge=0, le=1e6, allow_inf_nan=False)]


class _Message(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class OfferedFile(_Message):
    """A file that a worker may fetch."""

    size: _Size
    sha256: _Hash
    suffix: Annotated[str, Field(pattern=r"^\.[a-z0-9]{1,8}$")]


class Offer(_Message):
    """A capture that a worker may analyse."""

    token: _Token  # opens these files at their station, and nothing else, while the offer holds
    version: Annotated[str, Field(max_length=80)]  # of the station: only the same finds the same
    generation: _Count  # of the capture's row: findings for another one do not count
    capture: OfferedFile
    reference: OfferedFile | None = None  # the picture of the empty station
    options: dict[str, Any]  # of the analysis

    @property
    def analysis_options(self) -> dict[str, Any]:
        """The options without any path: what a station names is not on this machine."""
        return {**self.options, "model": None, "reference": None}


class FetchRequest(_Message):
    """A worker asks for a part of a file; for none with the size as its offset, as a sign."""

    token: _Token
    file: Literal["capture", "reference"]
    offset: _Size


class DoneRequest(_Message):
    """A worker gives a part of its findings, or up."""

    token: _Token
    part: _Count = 0
    parts: Annotated[int, Field(ge=1, le=MOST_FINDINGS_BYTES // PART_BYTES + 1)] = 1
    failed: Annotated[str, Field(max_length=300)] | None = None  # why there are no findings


class VideoFound(_Message):
    """What the video is."""

    duration_s: _Moment
    width: _Pixels
    height: _Pixels
    fps: _Measure
    codec: _Text
    rotation_deg: Annotated[int, Field(ge=-360, le=360)]
    is_mirrored: bool
    shown_width: _Pixels
    shown_height: _Pixels


class TakeFound(_Message):
    """One take."""

    start_s: _Moment
    end_s: _Moment
    active_start_s: _Moment
    active_end_s: _Moment
    reps: _Count | None
    activity: _Text
    looks_like: _Text
    confidence: Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
    decisive_s: _Moment
    begins_before: bool
    goes_on: bool
    clip: None
    clip_frames: None

    @model_validator(mode="after")
    def _is_in_order(self) -> "TakeFound":
        moments = (self.start_s, self.active_start_s, self.active_end_s, self.end_s)
        if list(moments) != sorted(moments) or self.end_s <= self.start_s:
            raise ValueError("the times of a take are not in order")
        if not self.start_s <= self.decisive_s <= self.end_s:
            raise ValueError("the decisive moment is outside its take")
        return self


class RemarkFound(_Message):
    """A quality warning."""

    code: Annotated[str, Field(pattern=r"^[a-z_]{1,40}$")]
    severity: Literal["warn", "hold"]
    message: Annotated[str, Field(max_length=600, pattern=r"^[^\x00-\x1f<>]*$")]
    at_s: _Moment | None


class CurveFound(_Message):
    """How much the athlete moves."""

    times_s: Annotated[list[_Moment], Field(max_length=2000)]
    speed: Annotated[list[_Measure], Field(max_length=2000)]

    @model_validator(mode="after")
    def _matches(self) -> "CurveFound":
        if len(self.times_s) != len(self.speed):
            raise ValueError("the curve's times and values differ in number")
        return self


class CostFound(_Message):
    """What the analysis took."""

    wall_s: _Measure
    decoded_frames: _Count
    pose_frames: _Count


class ReportFound(_Message):
    """The report of an analysis, in the order of its own fields."""

    video: VideoFound
    takes: Annotated[list[TakeFound], Field(max_length=500)]
    quality: Annotated[list[RemarkFound], Field(max_length=100)]
    verdict: Literal["upload", "hold", "skip"]
    curve: CurveFound
    cost: CostFound


_Bone = Annotated[list[Annotated[int, Field(ge=0, lt=200)]], Field(min_length=2, max_length=2)]


class SkeletonFound(_Message):
    """The athlete's landmarks, as the analysis writes them."""

    version: Annotated[Literal[1], Field(alias="schema")]
    scale: Annotated[int, Field(ge=1, le=100_000)]
    bones: Annotated[list[_Bone], Field(max_length=200)]
    times_ms: Annotated[list[Annotated[int, Field(ge=0, le=10**9)]], Field(max_length=_MOST_LOOKS)]
    points: Annotated[
        list[
            Annotated[
                list[Annotated[int, Field(ge=-(10**6), le=10**6)] | None], Field(max_length=400)
            ]
        ],
        Field(max_length=_MOST_LOOKS),
    ]

    @model_validator(mode="after")
    def _matches(self) -> "SkeletonFound":
        joints = {len(look) for look in self.points}
        most = max((joint for bone in self.bones for joint in bone), default=-1)
        if len(self.times_ms) != len(self.points) or len(joints) > 1:
            raise ValueError("the landmarks differ in number")
        if any(length != 2 * (length // 2) or length <= 2 * most for length in joints):
            raise ValueError("the landmarks do not fit the bones")
        if any(after <= before for before, after in zip(self.times_ms, self.times_ms[1:])):  # noqa: B905  # one shorter
            raise ValueError("the landmarks' times do not increase")
        return self


class Findings(_Message):
    """What a worker has found in a capture."""

    sha256: _Hash
    generation: _Count
    report: ReportFound
    skeleton: SkeletonFound | None

    def skeleton_text(self) -> str | None:
        """Return the landmarks as the analysis itself would have written them."""
        return None if self.skeleton is None else self.skeleton.model_dump_json(by_alias=True)


class FindingsError(Exception):
    """Findings that cannot be used, with the reason; their station then analyses it itself."""


def packed(offer: Offer, report: Mapping[str, object], skeleton: str | None) -> bytes:
    """Return findings as they are sent, compressed."""
    document = {
        "sha256": offer.capture.sha256,
        "generation": offer.generation,
        "report": report,
        "skeleton": None if skeleton is None else json.loads(skeleton),
    }
    return zlib.compress(json.dumps(document, separators=(",", ":")).encode())


def unpacked(content: bytes, offer: Offer, *, duration_s: float) -> Findings:
    """Return the findings for an offer, every part of them within its bounds.

    Args:
        content: as it was sent.
        offer: what they are for.
        duration_s: of the capture, as the station has measured it.

    Raises:
        FindingsError: they are too large, damaged, out of bounds, or another capture's.
    """
    unpacker = zlib.decompressobj()
    try:
        plain = unpacker.decompress(content, _MOST_PLAIN_BYTES)
        if unpacker.unconsumed_tail or not unpacker.eof:
            raise FindingsError("they are too large, or incomplete")
        found = Findings.model_validate_json(plain)
    except zlib.error:
        raise FindingsError("they cannot be unpacked") from None
    except ValidationError as error:
        raise FindingsError(_first_mistake(error)) from None
    if found.sha256 != offer.capture.sha256 or found.generation != offer.generation:
        raise FindingsError("they are for another capture, or an earlier state of it")
    _check_times(found, duration_s)
    return found


def _check_times(found: Findings, duration_s: float) -> None:
    """Make sure that all moments are inside of a capture.

    Raises:
        FindingsError: one is not.
    """
    report = found.report
    if abs(report.video.duration_s - duration_s) > _SLACK_S:
        raise FindingsError("the capture has another length")
    moments = [take.end_s for take in report.takes] + report.curve.times_s
    moments += [remark.at_s for remark in report.quality if remark.at_s is not None]
    moments += [] if found.skeleton is None else [at / 1000 for at in found.skeleton.times_ms]
    if any(at_s > duration_s + _SLACK_S for at_s in moments):
        raise FindingsError("a moment is after the end of the capture")


def _first_mistake(error: ValidationError) -> str:
    mistake = error.errors(include_input=False, include_url=False)[0]
    place = ".".join(str(part) for part in mistake["loc"][:4])
    return f"{place}: {mistake['msg']}"


def parts_of(content: bytes) -> list[bytes]:
    """Return findings in parts that the broker lets pass."""
    return [content[at : at + PART_BYTES] for at in range(0, len(content), PART_BYTES)]


def request(head: BaseModel, body: bytes = b"") -> bytes:
    """Return a request: one line that says what it is, then what it brings."""
    return head.model_dump_json().encode() + b"\n" + body


_Head = Any


def read_request(content: bytes, model: type[BaseModel]) -> tuple[_Head, bytes]:
    """Return a request's first line and what it brings.

    Raises:
        ValueError: it cannot be read.
    """
    line, _, body = content.partition(b"\n")
    return model.model_validate_json(line), body


def accepted(content: bytes = b"") -> bytes:
    """Return an answer that grants what was asked for."""
    return b"+" + content


def refused(why: str) -> bytes:
    """Return an answer that refuses it."""
    return b"-" + why.encode()


class WorkRefusedError(Exception):
    """A station does not want the work any more; its worker takes the next."""


def granted(answer: bytes) -> bytes:
    """Return what an answer brings.

    Raises:
        WorkRefusedError: it refuses, with the reason.
    """
    if answer[:1] != b"+":
        raise WorkRefusedError(answer[1:300].decode("utf-8", "replace"))
    return answer[1:]

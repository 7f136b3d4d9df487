"""What the head of a storage host's answer means for a file of which a part may be here.  Pure.

A part is gone on with only where the host says that it is the same file still: by its entity tag,
or by the date of its last change (RFC 9110, 13.1.5 and 14).  All that it says may be a lie.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from agent.api.answers import Answer, wished_wait_s
from agent.errors import LinkExpiredError, NotNowError, UnfitError

_RANGE = re.compile(r"bytes (\d{1,15})-(\d{1,15})/(\d{1,15}|\*)")
_OF_NONE = re.compile(r"bytes \*/(\d{1,15})")
_LINK_IS_OLD = frozenset({400, 401, 403, 404, 410})  # 400: so answers one large host, expired
_NOT_NOW = frozenset({408, 421, 425, 429})
_VIDEO_TYPES = frozenset({"", "application/octet-stream", "binary/octet-stream", "application/mp4"})
_MOST_VALIDATOR_CHARS = 256


class OtherFile(Exception):  # not an error: the part that is here is of no use
    """The host has another file than that of which a part is here: begin from its beginning."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """What a file was, or is, at its host."""

    validator: str | None = None  # its tag, or the date of its last change; None: neither is usable
    total_bytes: int | None = None  # as the host told; None: it did not


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """An answer whose body is to be taken."""

    origin: Origin
    start: int  # where its body belongs in the file
    can_resume: bool  # whether the rest could be fetched another time
    is_complete: bool = False  # nothing is missing: there is no body


def range_headers(have_bytes: int, origin: Origin | None) -> dict[str, str]:
    """Return the headers that ask for what is missing of a file, if it is the same still."""
    if have_bytes == 0 or origin is None or origin.validator is None:
        return {}
    return {"Range": f"bytes={have_bytes}-", "If-Range": origin.validator}


def read_head(
    status: int,
    headers: Mapping[str, str],
    *,
    have_bytes: int,
    origin: Origin | None,
    most_bytes: int,
    now_s: float,
) -> Accepted:
    """Return what an answer brings.

    Args:
        status, headers: of the answer; a mapping that takes names in any case.
        have_bytes: of the file, here already and asked to be gone on with.
        origin: of what is here.
        most_bytes: a larger file is not wanted.
        now_s: Unix time, for a Retry-After given as a date.

    Raises:
        OtherFile: what is here is of no use any more.
        LinkExpiredError, NotNowError, UnfitError: there is nothing to be taken.
    """
    if status == 416 and have_bytes:
        return _nothing_left(headers, have_bytes, origin)
    if status not in {200, 206}:
        raise _refusal(status, headers, now_s)
    _check_kind(headers)
    accepted = _rest(headers, have_bytes, origin) if status == 206 else _whole(headers)
    total = accepted.origin.total_bytes
    if total is not None and total > most_bytes:
        raise too_large(most_bytes)
    return accepted


def too_large(most_bytes: int) -> UnfitError:
    """Return the refusal of a file that is larger than is wanted."""
    return UnfitError(f"it is larger than the {most_bytes / 1e6:g} MB of results.max_video_mb")


def _whole(headers: Mapping[str, str]) -> Accepted:
    """Read an answer that brings a file from its beginning."""
    validator = _validator(headers)
    ranges = headers.get("Accept-Ranges", "").strip().lower() == "bytes"
    return Accepted(
        origin=Origin(validator=validator, total_bytes=_length(headers)),
        start=0,
        can_resume=ranges and validator is not None,
    )


def _rest(headers: Mapping[str, str], have_bytes: int, origin: Origin | None) -> Accepted:
    """Read an answer that brings what is missing; any other part, or another file, is of no use."""
    start, total = _place(headers)
    if start != have_bytes or origin is None or _validator(headers) not in {None, origin.validator}:
        raise OtherFile
    whole = Origin(validator=origin.validator, total_bytes=total)
    return Accepted(origin=whole, start=start, can_resume=True)


def _nothing_left(headers: Mapping[str, str], have_bytes: int, origin: Origin | None) -> Accepted:
    """Read the answer to a wish for what lies beyond the end."""
    match = _OF_NONE.fullmatch(headers.get("Content-Range", ""))
    if match is None or int(match[1]) != have_bytes or origin is None:
        raise OtherFile
    whole = Origin(validator=origin.validator, total_bytes=have_bytes)
    return Accepted(origin=whole, start=have_bytes, can_resume=True, is_complete=True)


def _refusal(
    status: int, headers: Mapping[str, str], now_s: float
) -> LinkExpiredError | NotNowError | UnfitError:
    if status in _LINK_IS_OLD:
        return LinkExpiredError(f"the link opens nothing (HTTP {status}): it may have expired")
    if status in _NOT_NOW or status >= 500:
        answer = Answer(
            status=status,
            body=b"",
            retry_after=headers.get("Retry-After"),
            date=headers.get("Date"),
        )
        return NotNowError(
            f"the storage host answers HTTP {status}",
            retry_after_s=wished_wait_s(answer, now_s=now_s),
        )
    return UnfitError(f"the storage host answers HTTP {status}, which brings no file")


def _check_kind(headers: Mapping[str, str]) -> None:
    """Refuse what says itself that it is no video, or packs it."""
    if headers.get("Content-Encoding", "identity").strip().lower() not in {"", "identity"}:
        raise UnfitError("the storage host packs the video, which nobody asked for")
    kind = headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if kind not in _VIDEO_TYPES and not kind.startswith("video/"):
        shown = kind[:40] if re.fullmatch(r"[a-z0-9.+/-]{1,200}", kind) else "something unnamed"
        raise UnfitError(f"it is no video but {shown}")


def _length(headers: Mapping[str, str]) -> int | None:
    text = headers.get("Content-Length", "")
    return int(text[:16]) if text.isascii() and text.isdigit() else None


def _place(headers: Mapping[str, str]) -> tuple[int, int | None]:
    """Return where a part belongs, and the size of the whole."""
    match = _RANGE.fullmatch(headers.get("Content-Range", ""))
    if match is None:
        raise OtherFile
    return int(match[1]), None if match[3] == "*" else int(match[3])


def _validator(headers: Mapping[str, str]) -> str | None:
    tag = headers.get("ETag", "")
    told = tag if tag and not tag.startswith("W/") else headers.get("Last-Modified", "")
    is_usable = told.isascii() and told.isprintable() and 0 < len(told) <= _MOST_VALIDATOR_CHARS
    return told if is_usable else None

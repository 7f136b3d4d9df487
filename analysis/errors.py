"""What can be wrong with a video, in words that the agent understands."""

from enum import StrEnum


class Fault(StrEnum):
    """The kinds of trouble."""

    UNREADABLE = "unreadable"  # no demuxer or decoder makes sense of it
    INCOMPLETE = "incomplete"  # an MP4 or MOV whose recorder died before writing the index
    NO_VIDEO = "no_video"  # no pictures in it
    REFUSED = "refused"  # not a plain file, or a picture too large to be one
    NO_SPACE = "no_space"  # the disk is full
    INTERNAL = "internal"  # our own mistake


class VideoError(Exception):
    """A video cannot be used; `fault` says how."""

    def __init__(self, message: str, *, fault: Fault) -> None:
        super().__init__(message)
        self.fault = fault

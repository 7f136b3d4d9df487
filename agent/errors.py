"""Every error that the agent raises on purpose, and who handles it.

AgentError
├── ConfigError                     the operator must change a setting  -> exit 78, no restart
├── RequestError                    a command asks the impossible       -> exit 1
├── BusyError                       not now: somebody else is at it     -> exit 75
├── UnreachableError                the API cannot be reached           -> exit 69
├── AnalysisError                   a video could not be analysed       -> retried, or quarantined
├── OutboxError                     the database cannot be trusted      -> stop the daemon
├── DownloadError                   a file of a storage host is missing
│   ├── TemporaryDownloadError      network, time or the host           -> resume later
│   │   └── HostUnreachableError    no connection at all                -> the same; commands say so
│   ├── LinkExpiredError            the link has expired                -> ask the API for a new one
│   └── RejectedDownloadError       no link, or not a video             -> not fetched; reason kept
├── NotifyError                     a receiver refused a notification   -> its channel waits
└── UploadError
    ├── NotCreatedError             surely no session was created       -> back off, try again
    │   └── OutOfHoursError         uploads closed during the body      -> wait for the next opening
    ├── OutcomeUnknownError         the body was sent, no answer        -> look it up first
    │   └── TimedOutError           it may still be in progress         -> the same, with more time
    ├── ApiUnavailableError         network, key, address, certificate  -> the lane pauses
    └── RefusedError                this clip is refused                -> dead, or held
"""

import os
import re
from enum import StrEnum

# Of a system's or a library's error: says nothing to people.
_NUMBER = re.compile(
    r"^\[(?:Errno -?\d+|(?:SSL|X509)(?:: \w+)?)\] |^_ssl\.c:\d+: | \(_ssl\.c:\d+\)$"
)
_OF_ASYNCIO = "Connect call failed"  # instead of the system's words, with the address as a tuple
_CONNECTION_LOST = "connection lost"
_NO_ANSWER = "no answer in time"
_KINDS = {
    "MemoryError": "out of memory",
    "EOFError": "it ended early",
    **dict.fromkeys(("TimeoutError", "ReadTimeout", "ConnectTimeout"), _NO_ANSWER),
    **dict.fromkeys(("WriteTimeout", "PoolTimeout"), _NO_ANSWER),
    **dict.fromkeys(("ReadError", "WriteError", "CloseError"), _CONNECTION_LOST),
    **dict.fromkeys(("ConnectError", "RemoteProtocolError"), _CONNECTION_LOST),
}
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z][a-z]*")


class AgentError(Exception):
    """Anything that Spotter itself declares to be wrong."""

    exit_code = 1

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.hint = hint  # what a person can do about it, in one sentence


class ConfigError(AgentError):
    """A setting is wrong or missing; no restart will help."""

    exit_code = 78


class RequestError(AgentError):
    """A command asks for something that cannot be done, and never will as it stands."""


class BusyError(AgentError):
    """Something else is at it now; the same request may succeed later."""

    exit_code = 75


class UnreachableError(AgentError):
    """The API could not be reached for a command that needs it."""

    exit_code = 69


class AnalysisFault(StrEnum):
    """What went wrong while analysing a video."""

    UNREADABLE = "unreadable"  # no decoder or demuxer makes sense of the file
    INCOMPLETE = "incomplete"  # an MP4 or MOV whose recorder died before writing the index
    NO_VIDEO = "no_video"  # sound or text only
    REFUSED = "refused"  # not a plain file, or a picture too large to be one
    CRASHED = "crashed"  # the child died
    STALLED = "stalled"  # the child made no progress within its bound
    MEMORY = "memory"  # the child took more memory than allowed
    NO_SPACE = "no_space"  # the disk is full
    INTERNAL = "internal"  # the child reported an error of its own


class AnalysisError(AgentError):
    """The analysis of a video failed; `fault` says how."""

    def __init__(self, message: str, *, fault: AnalysisFault, cause: str | None = None) -> None:
        super().__init__(message, hint=_AFTER_FAULT.get(fault, _AGAIN))
        self.fault = fault
        self.cause = cause  # for the log: an unforeseen error with its kind


_AGAIN = "try again; if it fails again, report it: spotter support"
_AFTER_FAULT = {
    AnalysisFault.UNREADABLE: "does a video player play it?  If not, it is damaged: copy or record "
    "it again; if it does, convert it to MP4 with H.264",
    AnalysisFault.INCOMPLETE: "copy the complete file again; a recording that was cut off is lost "
    "unless its camera can repair it",
    AnalysisFault.NO_VIDEO: "choose a file with pictures",
    AnalysisFault.REFUSED: "choose a plain video file whose picture is at most 8192 x 8192",
    AnalysisFault.MEMORY: "give the process more memory (analysis.memory_limit_mb), or scale the "
    "video down",
    AnalysisFault.NO_SPACE: "free some space; for temporary files, or: TMPDIR=FOLDER",
}


class OutboxError(AgentError):
    """The local database cannot be opened or trusted."""


class DownloadError(AgentError):
    """A file of a storage host did not come; the subclasses say what that means."""


class TemporaryDownloadError(DownloadError):
    """It may come later; what has arrived stays."""

    exit_code = 75

    def __init__(self, message: str, *, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s  # the host's own request


class HostUnreachableError(TemporaryDownloadError):
    """No connection to the host, or nobody knows where it is."""

    exit_code = 69


class LinkExpiredError(DownloadError):
    """The link opens nothing any more; a fresh one may."""

    exit_code = 75


class RejectedDownloadError(DownloadError):
    """What the link leads to is not asked for, or not kept; a person may see why."""


class NotifyError(AgentError):
    """A receiver of notices cannot be reached, or did not take one."""

    exit_code = UnreachableError.exit_code

    def __init__(
        self, message: str, *, hint: str | None = None, retry_after_s: float | None = None
    ) -> None:
        super().__init__(message, hint=hint)
        self.retry_after_s = retry_after_s  # the receiver's own request


class UploadError(AgentError):
    """An upload ended without a session; the subclasses say what that means."""

    def __init__(
        self, message: str, *, status: int | None = None, retry_after_s: float | None = None
    ) -> None:
        super().__init__(message)
        self.status = status  # HTTP status, None where no answer arrived
        self.retry_after_s = retry_after_s  # the server's own request: it holds the whole lane


class NotCreatedError(UploadError):
    """No session can have been made; the same upload may succeed later."""


class OutOfHoursError(NotCreatedError):
    """Upload hours ended while a clip was on its way: not its fault."""


class OutcomeUnknownError(UploadError):
    """The whole body went out and no usable answer came: a session may exist."""


class TimedOutError(OutcomeUnknownError):
    """The whole body went out and nothing was said for long: the API may be at it still."""


class ApiUnavailableError(UploadError):
    """The way to the API is at fault, not the clip: nothing is counted against it."""

    def __init__(
        self,
        message: str,
        *,
        reason: str,
        status: int | None = None,
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(message, status=status, retry_after_s=retry_after_s)
        self.reason = reason  # a stable word: network, key, tls, not_our_api ...


class RefusedError(UploadError):
    """The server understood the request and refuses this clip; `status` says why."""


def plain_words(error: Exception) -> str:
    """Return what a foreign error says, without its number; its kind where it says nothing."""
    if isinstance(error, OSError) and error.errno and _OF_ASYNCIO in str(error):
        return os.strerror(error.errno)
    return _NUMBER.sub("", str(error)) or kind_words(error)


def kind_words(error: Exception) -> str:
    """Return what kind of error a foreign one is, where its own words must not be shown."""
    name = type(error).__name__
    words = _WORD.findall(name.removesuffix("Error").removesuffix("Exception"))
    return _KINDS.get(name) or " ".join(words).lower() or "unknown error"

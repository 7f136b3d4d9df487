"""Every kind of fault, in the groups in which `spotter sandbox --help` lists them.

What is told of a kind fits on one line; the options stand in its form, as in cut:at=PERCENT.
"""

from collections.abc import Mapping
from typing import NamedTuple

PLACES = (
    *("upload", "list", "filter", "status", "users", "session", "processing", "storage"),
    *("any", "connection"),
)


def written(option: tuple[str, str]) -> str:
    """Return how an option is written, from its name and what stands for its value."""
    name, value = option
    return f"{name}={value}" if value else name


class Kind(NamedTuple):
    """One kind of fault: what it may be told, and what it does."""

    words: str
    options: Mapping[str, str] = {}  # what stands for the value; nothing: it takes none
    where: str = "upload"  # unless it is said otherwise

    def form(self, name: str) -> str:
        """Return how it is written, with its options."""
        told = ",".join(map(written, self.options.items()))
        return f"{name}:{told}" if told else name


class Group(NamedTuple):
    """Kinds that belong together."""

    title: str
    kinds: dict[str, Kind]


STATUS = Kind(
    "an answer with this status, from 200 to 599",
    {
        "error": "WORDS",
        "code": "CODE",
        "retry-after": "SECONDS",
        "body": "html",
        "early": "",
        "made": "",
        "user": "ID",
    },
)
_STATUS_WORDS = {
    "error": "what the answer says",
    "code": "its error_code",
    "retry-after": "or date+SECONDS: the same as a date",
    "body": "a page instead of JSON",
    "early": "before the body is read, and close",
    "made": "the session is made all the same",
    "user": "only for uploads of that athlete",
}
# How each of its options is written, and what it does.
STATUS_OPTIONS = {written(option): _STATUS_WORDS[option[0]] for option in STATUS.options.items()}

GROUPS = (
    Group(
        "Another answer to an upload",
        {
            "html": Kind("200 with a page, as a captive portal answers"),
            "empty": Kind("204"),
            "truncated-json": Kind("the session is made, 200 with half a document"),
            "redirect": Kind("302; to=loop: to itself; to=chain: on and on", {"to": "ADDRESS"}),
            "interim": Kind("100, 102 and 103 come before the answer"),
            "more-fields": Kind("the answer holds fields that nobody knows"),
        },
    ),
    Group(
        "An answer to an upload that is lost or late",
        {
            "lost-answer": Kind("the session is made, no answer: connection closed"),
            "late-answer": Kind("the session is made, the answer comes later", {"s": "SECONDS"}),
            "late-made": Kind("no answer, and the session is made later", {"s": "SECONDS"}),
            "twice": Kind("two sessions are made; lost: and no answer comes", {"lost": ""}),
            "silent": Kind("reads everything and never answers"),
        },
    ),
    Group(
        "A line that breaks or crawls while a clip is sent",
        {
            "cut": Kind("closed after so much of the body", {"at": "PERCENT"}),
            "reset": Kind("the same, by RST", {"at": "PERCENT"}),
            "stall": Kind("reads so much, then nothing more: half-open", {"at": "PERCENT"}),
            "slow": Kind("reads so many bytes a second; 64k", {"rate": "BYTES"}),
        },
    ),
    Group(
        "The list of sessions, in which a lost one is looked for, and its filter",
        {
            "late-list": Kind("sessions are listed only later", {"s": "SECONDS"}, "list"),
            "limit-list": Kind("only the newest n are listed", {"n": "NUMBER"}, "list"),
            "oldest-list": Kind("only the oldest n are listed", {"n": "NUMBER"}, "list"),
            "hide-list": Kind("the list is empty", where="list"),
            "long-list": Kind("n old sessions more are listed", {"n": "NUMBER"}, "list"),
            "strip-titles": Kind("brackets and what is in them are gone", where="list"),
            "short-titles": Kind("titles are cut to n signs", {"n": "NUMBER"}, "list"),
            "blind-filter": Kind("the filter finds nothing, ever", where="filter"),
            "open-filter": Kind("the filter lets everything pass", where="filter"),
        },
    ),
    Group(
        "A session and its analysis",
        {
            "never-done": Kind("a new session stays in the works", where="processing"),
            "failed": Kind("the analysis of a new one fails", {"error": "WORDS"}, "processing"),
            "no-rendering": Kind("metrics, and a video only when asked for", where="processing"),
            "late-session": Kind("a new one is found only later", {"s": "SECONDS"}, "processing"),
            "odd-metrics": Kind("metrics of every kind that nobody knows", where="processing"),
            "link": Kind("the video's link is that", {"to": "ADDRESS", "json": "VALUE"}, "session"),
            "long-json": Kind("the answer is one document of n bytes", {"n": "NUMBER"}, "session"),
            "deep-json": Kind("the answer is nested n deep", {"n": "NUMBER"}, "session"),
        },
    ),
    Group(
        "The analysed video",
        {
            "huge": Kind("n bytes, as is told", {"n": "NUMBER"}, "storage"),
            "endless": Kind("it has no end", where="storage"),
            "disguised": Kind("a page that is called a video", where="storage"),
            "packed": Kind("n bytes of nothing, packed small", {"n": "NUMBER"}, "storage"),
            "wrong-length": Kind(
                "n bytes more are told than come; n=-9: fewer", {"n": "NUMBER"}, "storage"
            ),
            "no-ranges": Kind("the whole video, whatever part is asked for", where="storage"),
            "changed": Kind("it is not the one it was a moment ago", where="storage"),
        },
    ),
    Group(
        "The connection (the certificates with --tls)",
        {
            "drop": Kind("closed at once, by RST", where="connection"),
            "tls-expired": Kind("its certificate has expired", where="connection"),
            "tls-not-yet": Kind("its certificate is not valid yet", where="connection"),
            "tls-unknown-ca": Kind("nobody knows its authority", where="connection"),
            "tls-wrong-host": Kind("its certificate is another host's", where="connection"),
        },
    ),
)
KINDS = {name: kind for group in GROUPS for name, kind in group.kinds.items()}
FLAGS = frozenset(  # options without a value
    option
    for kind in (STATUS, *KINDS.values())
    for option, value in kind.options.items()
    if not value
)

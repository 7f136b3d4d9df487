"""Finding captures and clips by whatever a person has at hand."""

from pathlib import Path

from agent.errors import RequestError
from agent.outbox.capture import Capture
from agent.outbox.entry import Entry
from agent.outbox.file_name import printable
from agent.outbox.store import Outbox
from agent.station.named_file import sha256_of
from agent.station.steering import find

MOST = 20  # clips of one athlete


def find_all(outbox: Outbox, wanted: str) -> list[Capture | Entry]:
    """Return what a person means: by ID, clip code, session, file (name or content) or athlete.

    A capture whose clips are cut is told by its clips.

    Raises:
        RequestError: nothing on record fits.
    """
    known_as = printable(wanted)  # what is no text is stored under none of the names below
    named = _by_file(outbox, wanted) or [*outbox.listing.of_session(known_as)]
    if not named:
        named = [*outbox.listing.of_athlete(known_as, most=MOST)]
    if not named:
        try:
            named = [find(outbox, wanted)]
        except RequestError:
            raise RequestError(
                f"nothing on record is called {wanted!r}",
                hint="name a file, a clip code, a session or an athlete (spotter outbox list "
                "--all); a copy of a known recording goes by the first one's name",
            ) from None
    return [told for subject in named for told in _clips_or_itself(outbox, subject)]


def _by_file(outbox: Outbox, wanted: str) -> list[Capture | Entry]:
    path = Path(wanted)
    digest = sha256_of(path)
    if digest is not None:
        found = outbox.captures.by_sha256(digest)
        if found is not None:
            return [found]
    return [*outbox.captures.by_file_name(path.name)]


def _clips_or_itself(outbox: Outbox, subject: Capture | Entry) -> list[Capture | Entry]:
    if isinstance(subject, Entry):
        return [subject]
    return [*outbox.entries.of_capture(subject.id)] or [subject]

"""Finds recordings, clips and athletes by code, name, hash or id."""

import hashlib
import re
import string
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from agent.disk.state_folder import SMALL, STRIP
from agent.errors import RequestError
from agent.outbox.models import Capture, Entry
from agent.outbox.outbox import Outbox
from agent.outbox.roster import RosterAthlete
from agent.station.clip_actions import find
from agent.station.roster import athlete_of, fold, search_athletes
from agent.text import printable_file_name


def sha256_of(path: Path) -> str | None:
    """Return the hash of a file's content; None where there is no file, or this user may not look.

    Then the name is all there is to go by. A folder that is closed to `sudo -u spotter` is often
    the one that a person stands in.
    """
    with suppress(OSError):
        if path.is_file():
            with path.open("rb") as file:
                return hashlib.file_digest(file, "sha256").hexdigest()
    return None


MOST = 20  # clips of one athlete, or candidates for one name
_SHORTEST_HASH = 6
_SHORTEST_CODE = 4
_TAKE = re.compile(r"(c\d{1,18})/(\d{1,9})")
_HEX = frozenset(string.hexdigits)


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundAthlete:
    """A person of the roster, or one whom only clips name."""

    key: str  # user_id, or guest:3
    name: str | None = field(repr=False)  # None: not in the roster
    clips: tuple[Entry, ...]  # the latest ones, the newest first


Found = Capture | Entry | FoundAthlete


def find_named(outbox: Outbox, wanted: str) -> list[Found]:
    """Return everything that a person may mean; several where a name is ambiguous.

    Names that fit exactly go before the beginning of a hash or a clip code and part of an
    athlete's name.

    Raises:
        RequestError: nothing fits.
    """
    known_as = printable_file_name(
        wanted
    )  # what is no text is stored under none of the names below
    found = _exactly(outbox, wanted, known_as) or _by_prefix(outbox, known_as.lower())
    if not found:
        found = [_found_athlete(outbox, one) for one in _by_part_of_name(outbox, known_as)]
    if not found:
        raise RequestError(
            f"no recording, clip, session or athlete named {known_as!r}",
            hint="list them: spotter outbox list --all, spotter sessions, spotter athletes; a copy "
            "of a known recording has the name of the first one",
        )
    return found


def find_all(outbox: Outbox, wanted: str) -> list[Capture | Entry]:
    """Return the recordings and clips that a person means, of an athlete the latest clips.

    A recording whose clips are cut is represented by its clips.

    Raises:
        RequestError: nothing fits.
    """
    return [subject for found in find_named(outbox, wanted) for subject in resolved(outbox, found)]


def resolved(outbox: Outbox, found: Found) -> list[Capture | Entry]:
    """Return the clips of an athlete or a recording, or the recording that has none."""
    if isinstance(found, FoundAthlete):
        return [*found.clips]
    if isinstance(found, Entry):
        return [found]
    return [*outbox.entries.of_capture(found.id)] or [found]


def _exactly(outbox: Outbox, wanted: str, known_as: str) -> list[Found]:
    found: list[Found] = [*_by_file(outbox, wanted), *outbox.listing.of_session(known_as)]
    person = _by_key(outbox, known_as)
    if person is not None:
        found.append(person)
    if found:
        return found
    take = _TAKE.fullmatch(known_as)
    try:
        if take is not None:
            return [*outbox.entries.of_takes(find(outbox, take[1]).id, [int(take[2])])]
        return [find(outbox, known_as)]
    except RequestError:
        folded = fold(known_as)
        same = [one for one in _by_part_of_name(outbox, known_as) if fold(one.name) == folded]
        return [_found_athlete(outbox, one) for one in same]


def _by_file(outbox: Outbox, wanted: str) -> list[Capture]:
    path = Path(wanted)
    digest = sha256_of(path)
    if digest is not None:
        found = outbox.captures.by_sha256(digest)
        if found is not None:
            return [found]
    return [*outbox.captures.by_file_name(path.name)]


def _by_key(outbox: Outbox, key: str) -> FoundAthlete | None:
    try:
        athlete = athlete_of(outbox, key)
    except RequestError:
        return None  # it cannot be a user_id
    if athlete is not None:
        return _found_athlete(outbox, athlete)
    clips = tuple(outbox.listing.of_athlete(key, most=MOST))
    return FoundAthlete(key=key, name=None, clips=clips) if clips else None


def _found_athlete(outbox: Outbox, athlete: RosterAthlete) -> FoundAthlete:
    if athlete.user_id is None:
        clips = outbox.listing.of_guest(athlete.id, most=MOST)
    else:
        clips = outbox.listing.of_athlete(athlete.user_id, most=MOST)
    return FoundAthlete(key=athlete.key, name=athlete.name, clips=tuple(clips))


def _by_part_of_name(outbox: Outbox, text: str) -> list[RosterAthlete]:
    return search_athletes(outbox, text, most=MOST, with_gone=True) if fold(text) else []


def _by_prefix(outbox: Outbox, text: str) -> list[Found]:
    """Return what begins with a text: a recording's hash, a clip code, or a stored file's name."""

    def fitting() -> Iterator[Found]:
        stem = Path(text).name.partition(".")[0]
        if len(stem) >= _SHORTEST_HASH and set(stem) <= _HEX:
            yield from outbox.captures.by_hash_prefix(stem, most=MOST)
        code = stem
        for end in (STRIP, SMALL, "-analysed", "-export"):
            code = code.removesuffix(end)
        if len(code) >= _SHORTEST_CODE and code.isascii() and code.isalnum():
            yield from outbox.entries.by_code_prefix(code, most=MOST)

    return [*fitting()]

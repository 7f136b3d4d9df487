"""Why a file is still in the capture folder."""

import os
from pathlib import Path

from agent.cli.words import duration_words
from agent.clock import read_clock
from agent.doctor.folders import how_to_give, may_take, whose_rights
from agent.outbox.disk.owner import OwnerLock
from agent.outbox.file_name import printable
from agent.outbox.store import Outbox
from agent.settings import Settings
from agent.station.filming import filming
from agent.station.of_settings import state_folder


def still_outside(settings: Settings, outbox: Outbox, wanted: str, *, start: str) -> str | None:
    """Return why a file was not ingested yet; None where the folder has none of that name."""
    found = _lying(settings.paths.capture, wanted)
    if found is None:
        return None
    runs = OwnerLock(state_folder(settings)).is_taken()
    told = _left_alone(settings, found)
    if told is None and runs:  # what the last daemon waited for is over
        told = _paused(outbox)
    if told is None:
        told = _settles(settings, found)
        if filming(outbox, now=read_clock()).stopped is not None:
            told += "; recording is paused: new footage is deleted unseen"
        if not runs:
            told += f"; but the daemon is not running ({start})"
    return f"is in the capture folder{told}"


def _settles(settings: Settings, found: Path) -> str:
    capture, facts = settings.capture, found.stat()
    if not facts.st_size:
        return (
            " and is empty: if nothing is written to it within "
            f"{capture.settle_unseen_s:g} s, it is quarantined"
        )
    return (
        f", not ingested yet (last write {duration_words(read_clock().utc_s - facts.st_mtime)} ago)"
        f": it is ingested after {capture.settle_s:g} s without writes, once nobody has it open "
        f"for writing ({capture.settle_unseen_s:g} s where that is unknown)"
    )


def _paused(outbox: Outbox) -> str | None:
    """Return why intake is paused, or None."""
    waits = [pause.detail for pause in outbox.pauses.all() if pause.part == "intake"]
    return f": intake is paused, {waits[0]}" if waits else None


def _lying(capture: Path, wanted: str) -> Path | None:
    """Return the file of a name, as it is or as Spotter writes it, in the capture folder."""
    shown = printable(Path(wanted).name)
    for folder, _, names in os.walk(capture):
        for name in names:
            path = Path(folder, name)
            if printable(name) == shown and path.is_file():
                return path
    return None


def _left_alone(settings: Settings, found: Path) -> str | None:
    """Return why intake ignores a file; None where it ingests it."""
    inside = found.relative_to(settings.paths.capture)
    if any(part.startswith(".") for part in inside.parts):
        return " but is hidden: names that begin with a dot are ignored"
    if found.suffix.lower() not in settings.capture.suffixes:
        return " but is ignored: its extension is not a video extension (capture.suffixes)"
    if found.is_symlink():
        return " but is ignored: it is a link, and only regular files are ingested"
    who = whose_rights(settings.paths.state)
    if not may_take(found, who):
        return f", but {who.name} has no permission to read and move it: {how_to_give(found, who)}"
    return None

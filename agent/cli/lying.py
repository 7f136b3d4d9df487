"""What there is to say of a file that still lies in the capture folder."""

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
    """Return why a file was not taken in yet; None where none of that name lies there."""
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
            told += "; filming is stopped, and what was filmed since is removed unseen"
        if not runs:
            told += f"; but the daemon does not run ({start})"
    return f"lies in the capture folder{told}"


def _settles(settings: Settings, found: Path) -> str:
    capture, facts = settings.capture, found.stat()
    if not facts.st_size:
        return (
            " and is empty: if nothing is written into it within "
            f"{capture.settle_unseen_s:g} s, it is set aside"
        )
    return (
        f", last written {duration_words(read_clock().utc_s - facts.st_mtime)} ago: it is taken in "
        f"once it is quiet for {capture.settle_s:g} s and nobody has it open for writing "
        f"({capture.settle_unseen_s:g} s where that cannot be known)"
    )


def _paused(outbox: Outbox) -> str | None:
    """Return what keeps intake from taking anything in, or None."""
    waits = [pause.detail for pause in outbox.pauses.all() if pause.part == "intake"]
    return f": intake waits, {waits[0]}" if waits else None


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
    """Return why intake lets a file lie; None where it takes it in."""
    inside = found.relative_to(settings.paths.capture)
    if any(part.startswith(".") for part in inside.parts):
        return " but is hidden: what begins with a dot is left alone"
    if found.suffix.lower() not in settings.capture.suffixes:
        return " but is no video by its name (capture.suffixes)"
    if found.is_symlink():
        return " but is a link: only the file itself would be taken in"
    who = whose_rights(settings.paths.state)
    if not may_take(found, who):
        return f", but {who.name} may not read it and move it: {how_to_give(found, who)}"
    return None

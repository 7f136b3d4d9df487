"""What waits for a daemon that does not run."""

import sqlite3
from collections.abc import Mapping

from agent.doctor.camera import files_in
from agent.doctor.finding import Patient
from agent.errors import AgentError
from agent.outbox.repair.audit import opened_as_it_is
from agent.outbox.states import TO_BE_LOOKED_INTO, TO_BE_SENT
from agent.plurals import counted


def waiting_for_daemon(patient: Patient) -> str | None:
    """Return in words what a daemon would have to do; None where there is nothing."""
    suffixes = patient.settings.capture.suffixes
    lying = sum(path.suffix.lower() in suffixes for path in files_in(patient))
    return waiting_words(lying, _counts(patient))


def waiting_words(lying: int, counts: Mapping[str, Mapping[str, int]]) -> str | None:
    """Return in words what waits; None where nothing does.

    Args:
        lying: videos in the capture folder.
        counts: captures and entries by their states.
    """
    captures, clips = (
        sum(counts.get(kind, {}).get(state, 0) for state in states)
        for kind, states in (("captures", TO_BE_LOOKED_INTO), ("entries", TO_BE_SENT))
    )
    parts = (
        (lying, "file in the capture folder", "files in the capture folder"),
        (captures, "capture", "captures"),
        (clips, "clip", "clips"),
    )
    told = [counted(number, one, many) for number, one, many in parts if number]
    verb = "waits" if lying + captures + clips == 1 else "wait"
    return f"{', '.join(told)} {verb}" if told else None


def _counts(patient: Patient) -> Mapping[str, Mapping[str, int]]:
    try:
        with opened_as_it_is(patient.folder.root) as outbox:
            return {} if outbox is None else outbox.listing.counts()
    except (sqlite3.Error, OSError, AgentError):
        return {}  # said by the check of the outbox

"""An effort that goes over the end of one recording into the next: one clip over both."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import structlog

from agent.errors import AnalysisError, AnalysisFault
from agent.intake.child import AnalysisChild, number_in
from agent.outbox.capture import Capture, Take
from agent.outbox.disk.folders import StateFolder
from agent.outbox.joins import CutOff
from agent.outbox.store import Outbox
from agent.station.adjoining import adjoin

log = structlog.get_logger(stage="analysis")


@dataclass(frozen=True, slots=True, kw_only=True)
class Join:
    """A file over two recordings, to be cut and then removed."""

    path: Path
    begun: CutOff  # what the first recording holds
    take: Take  # of both, in the second recording's time: it begins before 0
    shift_s: float  # from that time to the file's

    @property
    def take_in_file(self) -> Take:
        """The take in the file's own time."""
        moments = ("start_s", "end_s", "active_start_s", "active_end_s", "decisive_s")
        known = {name: getattr(self.take, name) for name in moments}
        return replace(
            self.take,
            **{name: at_s + self.shift_s for name, at_s in known.items() if at_s is not None},
        )


class Joiner:
    """Finds what a take is the second part of, and puts both parts into one file."""

    def __init__(self, outbox: Outbox, folder: StateFolder, child: AnalysisChild) -> None:
        self._outbox = outbox
        self._folder = folder
        self._child = child

    def join(self, capture: Capture, take: Take) -> Join | None:
        """Return both parts of a take as one, or None where it stands for itself.

        Raises:
            AnalysisError: the disk is full.
        """
        begun = self._begun(capture) if take.begins_before else None
        if begun is None:
            return None
        path = self._folder.tmp / f"{capture.sha256}-joined.mp4"
        try:
            told = self._child.ask(
                "join",
                path=str(self._folder.captures / begun.capture.stored_name),
                next=str(self._folder.captures / capture.stored_name),
                out=str(path),
                from_s=begun.take.start_s,
                until_s=take.end_s,
            )
        except AnalysisError as error:
            path.unlink(missing_ok=True)
            if error.fault is AnalysisFault.NO_SPACE:
                raise
            told = {"joined": False, "why": str(error)}
        if not told["joined"]:
            log.info("not joined", capture=capture.name, with_=begun.capture.name, why=told["why"])
            path.unlink(missing_ok=True)
            return None
        log.info("joined", capture=capture.name, with_=begun.capture.name)
        return _joined(path, begun, take, told)

    def _begun(self, capture: Capture) -> CutOff | None:
        now = self._outbox.captures.by_id(capture.id)  # with its recording time
        assert now is not None  # rows are never deleted
        found = self._outbox.joins.cut_off_before(now)
        return next((begun for begun in found if adjoin(begun.capture, now)), None)


def _joined(path: Path, begun: CutOff, take: Take, told: Mapping[str, object]) -> Join:
    shift_s = number_in(told, "second_shift_s")
    earlier_s = number_in(told, "first_shift_s") - shift_s  # to the second recording's time
    whole = replace(
        take,
        start_s=begun.take.start_s + earlier_s,
        active_start_s=begun.take.active_start_s + earlier_s,
        begins_before=begun.take.begins_before,
    )
    return Join(path=path, begun=begun, take=whole, shift_s=shift_s)

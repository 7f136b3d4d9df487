"""Takes as cards: what was recorded, its status, and the possible actions."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from agent.outbox.models import Capture, Entry
from agent.outbox.queries import ShownClip
from agent.outbox.resends import OPEN, Resend, ResendState
from agent.outbox.roster import key_of
from agent.outbox.states import SENT, CaptureState, EntryState, FileState, Reason, Recipient
from agent.station.attribution import ClipWarning
from agent.station.clip_actions import is_here
from agent.station.roster import name_of, split_key
from agent.web.context import PageContext
from agent.web.i18n import (
    ENTRY_STATES,
    FAULTS,
    OTHER_FAULT,
    OTHER_REASON,
    REASONS,
    RESENDS,
    WARNINGS,
    MovementWording,
    Wording,
)
from agent.web.views.results import Analyses, SessionAnalysis, shortened

MOST_LATEST = 12
MOST_NEEDING = 60
_MOST_KNOWN = 4 * (MOST_LATEST + MOST_NEEDING)  # cards that are remembered
_TONES = {
    EntryState.READY: "soft",
    EntryState.HELD: "warn",
    EntryState.UPLOADING: "busy",
    EntryState.UNCERTAIN: "busy",
    EntryState.UPLOADED: "good",
    EntryState.COMPLETED: "good",
    EntryState.DEAD: "bad",
}
_MAY = {
    EntryState.READY: ("give", "edit", "hold", "discard"),
    EntryState.HELD: ("give", "edit", "discard"),
    EntryState.DEAD: ("retry", "give", "edit", "discard"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ClipCard:
    """One take as the page shows it."""

    code: str
    who: str
    key: str | None  # names whose it is in addresses; None: nobody's who has a page
    is_known: bool  # whose it is
    movement: str
    shows: MovementWording  # the same, to be edited
    facts: tuple[str, ...]  # repetitions, length
    filmed_at: float | None  # Unix time
    state: str  # in words
    tone: str
    reason: str | None
    remarks: tuple[str, ...]
    title: str | None
    goes_at: float | None  # Unix time: until then it can be corrected
    has_poster: bool
    has_strip: bool
    has_clip: bool
    may: tuple[str, ...]  # give, edit, hold, discard, send, release, again, retry, resend
    why_not: str | None  # why it cannot be sent anew, in words
    resend: str | None  # how far it is on its way to the right athlete
    deletes: int | None  # the deletion of a wrong session that may be tried again
    analysis: SessionAnalysis | None  # what came of it after the upload
    candidates: tuple[tuple[str, str], ...] = ()  # keys and names of who come into question


@dataclass(frozen=True, slots=True, kw_only=True)
class CardInputs:
    """All that a card is made of: as long as it is the same, so is the card."""

    shown: ShownClip
    name: str | None  # whose it is
    resend: Resend | None
    is_fresh: bool  # it can still be corrected before it goes
    has_poster: bool
    has_strip: bool
    is_gone: bool  # sent, and no longer on this box
    analysis: SessionAnalysis | None


class CardBuilder:
    """Makes cards of clips; used by one thread at a time."""

    def __init__(self, source: PageContext, wording: Wording) -> None:
        self._source = source
        self.wording = wording
        self._texts = source.texts
        self._analyses = Analyses(source)
        self._made: dict[str, tuple[CardInputs, ClipCard]] = {}  # by clip code

    def latest(self) -> list[ClipCard]:
        """Return the latest takes that need nobody."""
        return self.cards(self._source.outbox.gallery.latest(most=MOST_LATEST))

    def needing(self) -> list[ClipCard]:
        """Return the takes that need a person."""
        return self.cards(self._source.outbox.gallery.needing(most=MOST_NEEDING))

    def cards(self, takes: Sequence[ShownClip]) -> list[ClipCard]:
        """Return the cards of some clips."""
        now_s = self._source.now().utc_s
        people = {_person_of(shown.entry) for shown in takes}
        names = {person: self._name(*person) for person in people}
        analyses = self._analyses.of([shown.entry for shown in takes])
        seen = (
            self._see(
                shown,
                analyses.get(shown.entry.id),
                name=names[_person_of(shown.entry)],
                now_s=now_s,
            )
            for shown in takes
        )
        return [self._card(one) for one in seen]

    def _see(
        self, shown: ShownClip, analysis: SessionAnalysis | None, *, name: str | None, now_s: float
    ) -> CardInputs:
        entry = shown.entry
        has_poster, has_strip = self._source.folder.has_pictures_of(entry.clip_code)
        return CardInputs(
            shown=shown,
            name=name,
            resend=self._source.outbox.resends.of_entry(entry.id) if entry.session_id else None,
            is_fresh=_is_fresh(entry, self._source.rules.send_delay_s, now_s=now_s),
            has_poster=has_poster,
            has_strip=has_strip,
            is_gone=entry.state in SENT and not is_here(self._source.folder.clips, entry),
            analysis=analysis,
        )

    def _card(self, seen: CardInputs) -> ClipCard:
        """Return a take's card: the one of last time where nothing of it has changed."""
        code = seen.shown.entry.clip_code
        known = self._made.get(code)
        if known is None or known[0] != seen:
            if len(self._made) >= _MOST_KNOWN:
                self._made.clear()
            known = self._made[code] = (seen, self._make(seen))
        return known[1]

    def _make(self, seen: CardInputs) -> ClipCard:
        entry, resend, is_fresh = seen.shown.entry, seen.resend, seen.is_fresh
        return ClipCard(
            code=entry.clip_code,
            who=seen.name or self._texts.gettext("Unassigned"),
            key=_key(entry),
            is_known=seen.name is not None,
            movement=self.wording.movement(MovementWording.of(entry)),
            shows=MovementWording.of(entry),
            facts=tuple(self._facts(seen.shown)),
            filmed_at=entry.filmed_at,
            state=self._texts.gettext(ENTRY_STATES["fresh" if is_fresh else entry.state]),
            tone="busy" if is_fresh else _tone(entry),
            reason=self._reason(entry),
            remarks=tuple(self._remarks(seen.shown)),
            title=entry.server_title or entry.title,
            goes_at=entry.due_at if is_fresh and entry.reason is None else None,
            has_poster=seen.has_poster,
            has_strip=seen.has_strip,
            has_clip=entry.file_state is FileState.PRESENT,
            may=_may(
                entry,
                is_fresh=is_fresh,
                is_on_its_way=resend is not None and resend.state in OPEN,
            ),
            why_not=self._why_not(seen),
            resend=self._resend_words(resend),
            deletes=resend.id if resend and resend.state is ResendState.REFUSED else None,
            analysis=seen.analysis,
            candidates=tuple(self._candidates(entry)),
        )

    def _candidates(self, entry: Entry) -> Iterator[tuple[str, str]]:
        """Yield who come into question for a take that waits to be given to somebody."""
        if entry.state is not EntryState.HELD or entry.user_id is not None:
            return
        for remark in entry.remarks:
            key = remark.removeprefix(ClipWarning.MAY_BE)
            if key not in {remark, "nobody"}:
                name = name_of(self._source.outbox, *split_key(key))
                if name is not None:
                    yield key, name

    def _name(self, is_owner: bool, user_id: str | None, guest_id: int | None) -> str | None:
        if is_owner:
            return self._texts.gettext("Account owner")
        return name_of(self._source.outbox, user_id, guest_id)

    def _facts(self, shown: ShownClip) -> Iterator[str]:
        if shown.reps:
            yield self._texts.ngettext("%(n)s rep", "%(n)s reps", shown.reps)
        yield self._texts.gettext("%(n)s s", n=self._texts.number(shown.entry.clip_seconds))

    def _reason(self, entry: Entry) -> str | None:
        if entry.state is EntryState.DEAD:
            return entry.detail
        if entry.reason is None:
            return None
        return self._texts.gettext(REASONS.get(entry.reason, OTHER_REASON))

    def _remarks(self, shown: ShownClip) -> Iterator[str]:
        for code in dict.fromkeys((*shown.quality, *shown.entry.remarks)):
            if code in WARNINGS:
                yield self._texts.gettext(WARNINGS[code])

    def _why_not(self, seen: CardInputs) -> str | None:
        """Return why a take cannot be corrected any more; None where it can."""
        if seen.shown.entry.state in {EntryState.UPLOADING, EntryState.UNCERTAIN}:
            return self._texts.gettext("Currently uploading.")
        is_on_its_way = seen.resend is not None and seen.resend.state in OPEN
        return (
            self._texts.gettext(
                "The clip is no longer on the station and cannot be uploaded again."
            )
            if seen.is_gone and not is_on_its_way
            else None
        )

    def _resend_words(self, resend: Resend | None) -> str | None:
        if resend is None or resend.state not in OPEN:
            return None
        return self._texts.gettext(RESENDS[resend.state], detail=resend.detail or "")


def _person_of(entry: Entry) -> tuple[bool, str | None, int | None]:
    return entry.recipient is Recipient.KEY_OWNER, entry.user_id, entry.guest_id


def _is_fresh(entry: Entry, send_delay_s: float, *, now_s: float) -> bool:
    """Tell whether a take can still be corrected before it goes; not one that is tried again."""
    left_s = entry.due_at - now_s
    is_corrected = not entry.failures and left_s <= send_delay_s
    return entry.state is EntryState.READY and left_s > 0 and (not entry.attempts or is_corrected)


def _key(entry: Entry) -> str | None:
    if entry.user_id is None and entry.guest_id is None:
        return None
    return key_of(entry.user_id, entry.guest_id)


def _tone(entry: Entry) -> str:
    return "warn" if _fails(entry) else _TONES.get(entry.state, "soft")


def _fails(entry: Entry) -> bool:
    return entry.state is EntryState.READY and entry.reason == Reason.FAILS_AT_SERVER


def _may(entry: Entry, *, is_fresh: bool, is_on_its_way: bool) -> tuple[str, ...]:
    if entry.state in SENT:
        if is_on_its_way:
            return ()
        return ("resend", "edit") if entry.recipient is Recipient.ATHLETE else ("resend",)
    more = ("send",) if is_fresh else ()
    if entry.state is EntryState.HELD and entry.recipient is not Recipient.UNKNOWN:
        more = ("again" if entry.reason == Reason.OUTCOME_UNKNOWN else "release",)
    if _fails(entry):
        more = ("retry",)
    return (*more, *_MAY.get(entry.state, ()))


_MOST = 24
_MOST_NAME = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class QuarantinedCard:
    """One recording as the page shows it; never a picture of it: it may be nobody's to see."""

    id: int
    name: str  # as the camera program called it
    reason: str
    size: str
    at: float  # Unix time: when it was taken in
    may_retry: bool  # its file is here
    is_unseen: bool  # not broken: filming may have been stopped when it was made


class QuarantineList:
    """Reads what was set aside."""

    def __init__(self, source: PageContext) -> None:
        self._source = source

    def all(self) -> list[QuarantinedCard]:
        """Return the recordings that wait for a person, the newest first."""
        captures = self._source.outbox.captures.latest(CaptureState.QUARANTINED, most=_MOST)
        return [self._card(capture) for capture in captures]

    def _card(self, capture: Capture) -> QuarantinedCard:
        return QuarantinedCard(
            id=capture.id,
            name=shortened(capture.file_name, _MOST_NAME),
            reason=self._reason(capture),
            size=f"{self._source.texts.number(capture.facts.size_bytes / 1e6)} MB",
            at=capture.admitted_at,
            may_retry=capture.file_state is FileState.PRESENT,
            is_unseen=capture.reason == Reason.FILMING_MAY_BE_STOPPED,
        )

    def _reason(self, capture: Capture) -> str:
        code = str(capture.reason)
        return self._source.texts.gettext(FAULTS.get(code) or REASONS.get(code, OTHER_FAULT))

"""Takes as cards: what was filmed, what became of it, and what may be done with it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from agent.outbox.entry import Entry
from agent.outbox.gallery import Shown
from agent.outbox.resends import OPEN, Resend, ResendState
from agent.outbox.states import EntryState, FileState, Recipient
from agent.station.resending import why_not_resend
from agent.station.roster import name_of
from agent.web.board.analyses import Analyses, Analysis
from agent.web.board.words import Movement, Wording
from agent.web.page import Page

MOST_LATEST = 12
MOST_HELD = 60
_SENT = frozenset({EntryState.UPLOADED, EntryState.COMPLETED})
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
    EntryState.READY: ("give", "hold", "discard"),
    EntryState.HELD: ("give", "discard"),
    EntryState.DEAD: ("retry", "give", "discard"),
}
_RESEND_WORDS = {
    ResendState.ASKED: "resend_asked",
    ResendState.SENDING: "resend_sending",
    ResendState.DELETING: "resend_deleting",
    ResendState.REFUSED: "resend_refused",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """One take as the page shows it."""

    code: str
    who: str
    is_known: bool  # whose it is
    movement: str
    facts: tuple[str, ...]  # repetitions, length
    filmed_at: float | None  # Unix time
    state: str  # a text's key
    tone: str
    reason: str | None
    remarks: tuple[str, ...]
    title: str | None
    goes_at: float | None  # Unix time: until then it can be corrected
    has_poster: bool
    has_strip: bool
    has_clip: bool
    may: tuple[str, ...]  # give, hold, discard, send, retry, resend
    why_not: str | None  # why it cannot be sent anew, in words
    resend: str | None  # how far it is on its way to the right athlete
    deletes: int | None  # the deletion of a wrong session that may be tried again
    analysis: Analysis | None  # what came of it after the upload


class CardMaker:
    """Makes cards of clips."""

    def __init__(self, page: Page, wording: Wording) -> None:
        self._page = page
        self._wording = wording
        self._say = page.texts.say
        self._analyses = Analyses(page)

    def latest(self) -> list[Card]:
        """Return the latest takes that wait for nobody."""
        return self._cards(self._page.outbox.gallery.latest(most=MOST_LATEST))

    def held(self) -> list[Card]:
        """Return the takes that wait for a person."""
        return self._cards(self._page.outbox.gallery.held(most=MOST_HELD))

    def _cards(self, takes: Sequence[Shown]) -> list[Card]:
        analyses = self._analyses.of([shown.entry for shown in takes])
        return [self._card(shown, analyses.get(shown.entry.id)) for shown in takes]

    def _card(self, shown: Shown, analysis: Analysis | None) -> Card:
        """Return one take's card."""
        entry, now_s = shown.entry, self._page.now().utc_s
        poster, strip = self._page.folder.pictures_of(entry.clip_code)
        is_fresh = entry.state is EntryState.READY and not entry.attempts and entry.due_at > now_s
        name = self._name(entry)
        resend = self._page.outbox.resends.of_entry(entry.id) if entry.session_id else None
        return Card(
            code=entry.clip_code,
            who=name or self._say("take_unknown"),
            is_known=name is not None,
            movement=self._wording.movement(Movement.of(entry)),
            facts=tuple(self._facts(shown)),
            filmed_at=entry.filmed_at,
            state="entry_fresh" if is_fresh else f"entry_{entry.state}",
            tone="busy" if is_fresh else _TONES.get(entry.state, "soft"),
            reason=self._reason(entry),
            remarks=tuple(self._remarks(shown)),
            title=entry.server_title or entry.title,
            goes_at=entry.due_at if is_fresh else None,
            has_poster=poster.exists(),
            has_strip=strip.exists(),
            has_clip=entry.file_state is FileState.PRESENT,
            may=_may(
                entry,
                is_fresh=is_fresh,
                is_on_its_way=resend is not None and resend.state in OPEN,
            ),
            why_not=self._why_not(entry, resend),
            resend=self._resend_words(resend),
            deletes=resend.id if resend and resend.state is ResendState.REFUSED else None,
            analysis=analysis,
        )

    def _name(self, entry: Entry) -> str | None:
        if entry.recipient is Recipient.KEY_OWNER:
            return self._say("take_owner")
        return name_of(self._page.outbox, entry.user_id, entry.guest_id)

    def _facts(self, shown: Shown) -> Iterator[str]:
        if shown.reps:
            yield self._say("take_reps_one" if shown.reps == 1 else "take_reps", n=shown.reps)
        yield self._say("take_seconds", n=self._page.texts.number(shown.entry.clip_seconds))

    def _reason(self, entry: Entry) -> str | None:
        if entry.state is EntryState.DEAD:
            return entry.detail
        if entry.reason is None:
            return None
        key = f"reason_{entry.reason}"
        return self._say(key if self._page.texts.knows(key) else "reason_other")

    def _remarks(self, shown: Shown) -> Iterator[str]:
        for code in dict.fromkeys((*shown.quality, *shown.entry.remarks)):
            key = f"remark_{code}"
            if self._page.texts.knows(key):
                yield self._say(key)

    def _why_not(self, entry: Entry, resend: Resend | None) -> str | None:
        """Return why a take cannot be corrected any more; None where it can."""
        if entry.state in {EntryState.UPLOADING, EntryState.UNCERTAIN}:
            return self._say("take_under_way")
        if entry.state not in _SENT or (resend is not None and resend.state in OPEN):
            return None
        refusal = why_not_resend(self._page.outbox, self._page.folder.clips, entry)
        return None if refusal is None else self._say("take_gone")

    def _resend_words(self, resend: Resend | None) -> str | None:
        if resend is None or resend.state not in OPEN:
            return None
        key = _RESEND_WORDS[resend.state]
        return self._say(key, detail=resend.detail or "")


def _may(entry: Entry, *, is_fresh: bool, is_on_its_way: bool) -> tuple[str, ...]:
    if entry.state in _SENT:
        return () if is_on_its_way else ("resend",)
    more = ("send",) if is_fresh else ()
    return (*more, *_MAY.get(entry.state, ()))

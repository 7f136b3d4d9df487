"""An athlete is forgotten: everything of theirs goes, and nothing of anybody else."""

from dataclasses import replace

import pytest

from agent.clock import Instant
from agent.disk.state_folder import LEDGER_NAME, StateFolder
from agent.errors import RequestError
from agent.outbox.corrections import ResendState
from agent.outbox.models import Capture, Entry
from agent.outbox.outbox import Outbox
from agent.outbox.results import NewResult
from agent.outbox.roster import AccountAthlete
from agent.outbox.states import CaptureState, EntryState, FileState, Reason
from agent.station.assignments import assign_person, enqueue, record_default, timeline_of
from agent.station.clip_actions import clear_queue, give, resend, undo, unqueue
from agent.station.erasure import ErasureProgress, carry_out, carry_out_due, erasure_preview, forget
from agent.station.roster import NamedAthlete, note_guest, search_athletes, take_over
from tests.factories import NOW_S, admitted, instant, new_entry
from tests.integration.station.conftest import LIFTING, RULES, doing

GONE = "gone-42"


FILES = 5  # the clip, and what is kept beside it


class Gym:
    """An outbox with files."""

    def __init__(self, outbox: Outbox) -> None:
        self.outbox = outbox
        self.folder = StateFolder(outbox.database.path.parent)
        self.folder.prepare()

    def now(self) -> Instant:
        return instant(100)

    def capture(self, number: int) -> Capture:
        """An original on the disk, analysed."""
        capture = admitted(self.outbox, number)
        (self.folder.captures / capture.stored_name).write_bytes(b"original")
        claimed = self.outbox.captures.claim_next(NOW_S)
        assert claimed is not None
        self.outbox.captures.move(claimed, CaptureState.ANALYSED, now_s=NOW_S)
        return capture

    def clip(
        self, capture: Capture, take: int, who: str | None, state: EntryState = EntryState.READY
    ) -> Entry:
        """Somebody's clip with its pictures, in a state."""
        first = EntryState.HELD if state is EntryState.HELD else EntryState.READY
        new = new_entry(capture, take, state=first, user_id=who)
        (self.folder.clips / new.clip.stored_name).write_bytes(b"clip")
        for picture in self.folder.beside_clip(new.clip_code):
            picture.write_bytes(b"picture")
        entry = self.outbox.entries.create(new, now_s=NOW_S)
        if state is EntryState.UPLOADING:
            self.outbox.entries.claim(entry, now_s=NOW_S)
        if state is EntryState.UPLOADED:
            session = f"s{entry.id}"
            self.outbox.entries.adopt_session(
                entry.id, session_id=session, server_title="[x] snatch", now_s=NOW_S
            )
        return entry

    def forget(self, key: str = GONE) -> ErasureProgress:
        """Forget somebody at once, as the command does."""
        undoable = forget(self.outbox, key, now=self.now())
        asked = self.outbox.forgettings.of_undoable(undoable.id)
        assert asked is not None
        return carry_out(self.outbox, self.folder, asked, now=self.now)

    def entry(self, entry: Entry) -> Entry:
        found = self.outbox.entries.by_id(entry.id)
        assert found is not None
        return found

    def files_of(self, entry: Entry) -> list[bool]:
        places = [self.folder.clips / entry.stored_name, *self.folder.beside_clip(entry.clip_code)]
        return [place.exists() for place in places]


@pytest.fixture
def gym(outbox: Outbox) -> Gym:
    """An outbox with files."""
    return Gym(outbox)


def test_clips_and_pictures_go_sent_or_not_and_the_sessions_are_listed(gym: Gym) -> None:
    states = [EntryState.READY, EntryState.HELD, EntryState.UPLOADED]
    clips = [gym.clip(gym.capture(n), 1, GONE, state) for n, state in enumerate(states, start=1)]
    other = gym.clip(gym.capture(4), 1, "ann")
    owned = erasure_preview(gym.outbox, GONE)
    assert (owned.clips, owned.unsent, owned.sessions) == (3, 2, ["s3"])

    assert gym.forget() == ErasureProgress(done=True, waits_for=())

    assert [gym.files_of(clip) for clip in clips] == [[False] * FILES] * 3
    assert gym.files_of(other) == [True] * FILES
    assert [path.name for path in gym.folder.captures.glob("*.mp4")] == [f"{4:064x}.mp4"]
    found = [gym.entry(clip) for clip in clips]
    assert [(e.state, e.reason) for e in found[:2]] == [("discarded", Reason.FORGOTTEN)] * 2
    assert {(e.user_id, e.title, e.barbell_mass_kg) for e in found} == {(None, None, None)}
    assert found[2].session_id == "s3"  # by it absence is proven
    assert gym.entry(other).user_id == "ann"


def test_nothing_on_the_box_names_them_any_more(gym: Gym) -> None:
    gym.outbox.roster.replace(
        [AccountAthlete(user_id=GONE, name="Gerda Gone", folded="gerda gone")],
        complete=True,
        now_s=NOW_S,
    )
    record_default(gym.outbox, LIFTING, now=instant())
    assign_person(gym.outbox, GONE, doing("snatch", 50), rules=RULES, now=instant(), set_by="test")
    enqueue(gym.outbox, GONE, rules=RULES)
    group = gym.outbox.groups.add("Team", [GONE, "ann"], now_s=NOW_S)
    for digest, athlete in (("theirs", GONE), ("anns", "ann")):
        gym.outbox.cards.link(digest, athlete, now_s=NOW_S)
    gym.clip(gym.capture(1), 1, GONE, EntryState.UPLOADED)
    anns = gym.clip(gym.capture(2), 1, GONE, EntryState.HELD)  # given to Ann below
    asked = replace(
        new_entry(gym.capture(3), state=EntryState.HELD, user_id=None),
        reason=Reason.TWO_ATHLETES,
        detail=f"ann, then {GONE}",
        remarks=("may_be:ann", f"may_be:{GONE}"),
    )
    (gym.folder.clips / asked.clip.stored_name).write_bytes(b"clip")
    gym.outbox.entries.create(asked, now_s=NOW_S)
    give(gym.outbox, anns, "ann", rules=RULES, now_s=NOW_S)
    for copy in ("outbox.db.before-0003", "outbox.db.damaged-7", "ledger.jsonl.damaged-7"):
        (gym.folder.root / copy).write_text(f"remembers {GONE}")

    gym.forget()

    told = [path for path in gym.folder.root.rglob("*") if path.is_file()]
    assert len(told) > 5 and not any(b"remembers" in path.read_bytes() for path in told)
    naming = [p.name for p in told if GONE.encode() in p.read_bytes() or b"Gerda" in p.read_bytes()]
    assert naming == []
    assert search_athletes(gym.outbox, with_gone=True) == []
    assert gym.outbox.queue.all() == []
    assert gym.outbox.groups.all() == [replace(group, members=("ann",))]
    assert [card.athlete for card in gym.outbox.cards.all()] == ["ann"]
    at = timeline_of(gym.outbox, now=instant(50)).at(instant(50))
    assert at.user_id is None  # what is found late of that time waits for a person
    root = gym.folder.root
    assert GONE.encode() not in (root / LEDGER_NAME).read_bytes()
    take_over(
        gym.outbox,
        [NamedAthlete(GONE, "Gerda Gone"), NamedAthlete("ann", "Ann")],
        complete=True,
        now_s=NOW_S,
    )
    assert [person.name for person in search_athletes(gym.outbox)] == ["Ann"]
    assign_person(gym.outbox, GONE, doing("snatch"), rules=RULES, now=instant(200), set_by="test")
    take_over(gym.outbox, [NamedAthlete(GONE, "Gerda Gone")], complete=False, now_s=NOW_S)
    assert [person.name for person in search_athletes(gym.outbox, "gone")] == ["Gerda Gone"]


def test_what_came_back_of_their_sessions_goes_and_is_not_asked_for_again(gym: Gym) -> None:
    capture = gym.capture(1)
    theirs = gym.clip(capture, 1, GONE, EntryState.UPLOADED)
    anns = gym.clip(capture, 2, "ann", EntryState.UPLOADED)
    for entry in (theirs, anns):
        new = NewResult(numbers={"peak": 1.9}, analysed_video_url="https://x/", document_bytes=4)
        assert gym.outbox.results.record(entry.id, new, now_s=NOW_S)
        for path in gym.folder.result_files(entry.clip_code):
            path.write_bytes(b"told")

    gym.forget()

    assert gym.outbox.results.of_entry(theirs.id) is None
    assert [p.exists() for p in gym.folder.result_files(theirs.clip_code)] == [False, False]
    assert not gym.outbox.follow_ups.resume(theirs.id, now_s=NOW_S)
    assert gym.outbox.results.of_entry(anns.id) is not None
    assert [p.exists() for p in gym.folder.result_files(anns.clip_code)] == [True, True]


def test_others_in_the_same_recording_lose_nothing(gym: Gym) -> None:
    capture = gym.capture(1)
    theirs, others = gym.clip(capture, 1, GONE), gym.clip(capture, 2, "ann")

    progress = gym.forget()

    assert progress == ErasureProgress(done=False, waits_for=["c1"])
    assert gym.files_of(theirs) == [False] * FILES
    assert gym.files_of(others) == [True] * FILES
    assert gym.entry(others).state is EntryState.READY
    gym.outbox.entries.adopt_session(others.id, session_id="s", server_title=None, now_s=NOW_S)
    carry_out_due(gym.outbox, gym.folder, now=gym.now)
    assert list(gym.folder.captures.glob("*.mp4")) == []
    assert gym.outbox.forgettings.unfinished() == []
    assert gym.entry(theirs).user_id is None
    assert gym.files_of(others) == [True] * FILES  # for as long as delivered clips stay


def test_a_clip_of_theirs_over_two_recordings_goes_and_others_in_both_stay(gym: Gym) -> None:
    first, second = gym.capture(1), gym.capture(2)
    new = new_entry(second, 1, user_id=GONE)
    whole = replace(new.sources[0], capture_id=first.id, take_number=9)
    joined = gym.outbox.entries.create(replace(new, sources=(whole, new.sources[0])), now_s=NOW_S)
    (gym.folder.clips / joined.stored_name).write_bytes(b"clip")
    other = gym.clip(first, 2, "ann", EntryState.HELD)

    assert gym.forget().waits_for == ["c1"]

    assert not (gym.folder.clips / joined.stored_name).exists()
    assert (gym.folder.captures / first.stored_name).exists()
    assert not (gym.folder.captures / second.stored_name).exists()
    assert gym.files_of(other) == [True] * FILES


def test_what_is_being_sent_goes_when_that_has_ended(gym: Gym) -> None:
    entry = gym.clip(gym.capture(1), 1, GONE, EntryState.UPLOADING)

    assert gym.forget().waits_for == ["e1", "c1"]
    assert gym.files_of(entry) == [True] * FILES
    gym.outbox.entries.adopt_session(entry.id, session_id="s", server_title=None, now_s=NOW_S)
    carry_out_due(gym.outbox, gym.folder, now=gym.now)

    assert gym.files_of(entry) == [False] * FILES
    assert gym.entry(entry).user_id is None


def test_it_begins_only_when_it_can_no_longer_be_undone(gym: Gym) -> None:
    entry = gym.clip(gym.capture(1), 1, GONE)
    asked = forget(gym.outbox, GONE, now=instant())

    carry_out_due(gym.outbox, gym.folder, now=lambda: instant(9))
    assert gym.files_of(entry) == [True] * FILES
    undo(gym.outbox, asked.id, now=instant(9))
    carry_out_due(gym.outbox, gym.folder, now=lambda: instant(60))
    assert gym.entry(entry).user_id == GONE

    forget(gym.outbox, GONE, now=instant(100))
    carry_out_due(gym.outbox, gym.folder, now=lambda: instant(111))
    assert gym.files_of(entry) == [False] * FILES
    assert gym.entry(entry).file_state is FileState.CLEARED


def test_a_guest_can_be_forgotten_too(gym: Gym) -> None:
    guest = note_guest(gym.outbox, "Zoë", now_s=NOW_S)
    assign_person(gym.outbox, guest.key, doing("snatch"), rules=RULES, now=instant(), set_by="t")

    gym.forget(guest.key)

    assert [person.name for person in search_athletes(gym.outbox, with_gone=True)] == ["forgotten"]
    with pytest.raises(RequestError):
        forget(gym.outbox, "guest:77", now=instant())


def test_who_only_came_into_question_is_forgotten_too(outbox: Outbox) -> None:
    new = replace(
        new_entry(admitted(outbox, 77), state=EntryState.HELD, user_id=None),
        reason=Reason.RECORDING_TIME_UNKNOWN,
        detail="ann, if it was filmed then; or ben, if it was filmed now",
        remarks=("may_be:ann", "may_be:ben"),
    )
    entry = outbox.entries.create(new, now_s=NOW_S)

    forgetting = outbox.forgettings.of_undoable(forget(outbox, "ann", now=instant()).id)
    assert forgetting is not None
    outbox.forgettings.leave_questions(forgetting)

    left = outbox.entries.by_id(entry.id)
    assert left is not None
    assert (left.remarks, left.detail) == (("may_be:ben",), None)
    assert all(event.detail is None for event in outbox.events.of_entry(entry.id))


def test_who_was_undone_at_the_last_moment_is_not_erased(gym: Gym) -> None:
    clip = gym.clip(gym.capture(1), 1, GONE)
    undoable = forget(gym.outbox, GONE, now=instant())
    (asked,) = gym.outbox.forgettings.unfinished()  # as the daemon found it
    undo(gym.outbox, undoable.id, now=instant(9.9))

    carry_out(gym.outbox, gym.folder, asked, now=gym.now)

    assert gym.entry(clip).state is EntryState.READY and gym.files_of(clip) == [True] * FILES


def test_no_table_names_them_any_more_whatever_could_be_undone(gym: Gym) -> None:
    other = gym.clip(gym.capture(1), 1, "ann", EntryState.UPLOADED)
    (gym.folder.clips / other.stored_name).write_bytes(bytes(other.clip_bytes))
    for key in (GONE, "ann"):
        enqueue(gym.outbox, key, rules=RULES)
    cleared = clear_queue(gym.outbox, now=instant(95))
    removed = unqueue(gym.outbox, enqueue(gym.outbox, GONE, rules=RULES).id, now=instant(95))
    gym.outbox.limits.note("account", GONE, now_s=NOW_S, detail="used up")
    resent = resend(
        gym.outbox, gym.folder.clips, gym.entry(other), GONE, rules=RULES, now=instant(95)
    )

    assert gym.forget().done

    found = gym.outbox.resends.by_id(resent.id)
    assert found is not None and found.state is ResendState.GIVEN_UP
    connection = gym.outbox.database.connection
    tables = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
    for (table,) in tables:
        rows = connection.execute(f"SELECT * FROM {table}").fetchall()  # noqa: S608  # of ours
        assert not [row for row in rows if GONE in str(row)], table
    undo(gym.outbox, cleared.id, now=gym.now())
    undo(gym.outbox, removed.id, now=gym.now())
    assert [queued.target.user_id for queued in gym.outbox.queue.all()] == ["ann"]


def test_it_waits_for_what_is_yet_to_be_looked_into(gym: Gym) -> None:
    assign_person(gym.outbox, GONE, doing("snatch", 50), rules=RULES, now=instant(), set_by="test")
    waiting = admitted(gym.outbox, 1)  # of their training, as far as anybody knows

    assert gym.forget() == ErasureProgress(done=False, waits_for=[waiting.name])
    named = [NamedAthlete(GONE, "Gerda Gone"), NamedAthlete("ann", "Ann")]
    take_over(gym.outbox, named, complete=True, now_s=NOW_S)
    assert [one.key for one in search_athletes(gym.outbox, with_gone=True)] == ["ann"]

    claimed = gym.outbox.captures.claim_next(NOW_S)
    assert claimed is not None
    clip = gym.clip(waiting, 1, GONE)  # by who was on the station then
    gym.outbox.captures.move(claimed, CaptureState.ANALYSED, now_s=NOW_S)
    admitted(gym.outbox, 2, at=NOW_S + 200)  # from after the request: not of theirs
    carry_out_due(gym.outbox, gym.folder, now=gym.now)

    assert gym.outbox.forgettings.unfinished() == []
    assert gym.entry(clip).state is EntryState.DISCARDED and gym.files_of(clip) == [False] * FILES
    assert gym.entry(clip).user_id is None


def test_a_group_that_is_gone_leaves_its_kiosk_to_no_other_group(gym: Gym) -> None:
    bound = gym.outbox.groups.add("U18", ["ann"], now_s=NOW_S)
    gym.outbox.groups.remove(bound.id, now_s=NOW_S)

    gym.forget()

    assert gym.outbox.groups.add("Pros", ["ben"], now_s=NOW_S).id != bound.id

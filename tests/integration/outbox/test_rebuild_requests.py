"""What a person asked for, and has not ended, is asked for in a database rebuilt too."""

from collections.abc import Callable
from pathlib import Path

import pytest

from agent.disk.state_folder import StateFolder
from agent.outbox.corrections import OPEN, ResendState, UndoKind
from agent.outbox.database_file import DATABASE_NAME
from agent.outbox.models import ClipTarget
from agent.outbox.outbox import Outbox
from agent.outbox.recovery import open_as_owner
from agent.outbox.states import Recipient
from agent.station.erasure import forget
from tests.factories import NOW_S, instant
from tests.lived import WAYS, send

_TOM = ClipTarget(recipient=Recipient.ATHLETE, user_id="tom", activity="running")


def ask_to_resend(outbox: Outbox, state: ResendState) -> None:
    entry = outbox.entries.by_id(1 + WAYS.index("uploaded"))
    assert entry is not None
    undoable = outbox.undoables.add(UndoKind.RESEND, {}, now=instant())
    asked = outbox.resends.add(entry, _TOM, undoable_id=undoable.id, now_s=NOW_S)
    if state is not ResendState.ASKED:
        assert outbox.resends.move(asked, state, now_s=NOW_S) is not None


@pytest.fixture
def rebuilt(tmp_path: Path) -> Callable[[Callable[[Outbox], object]], Outbox]:
    """Let something be asked of an outbox, lose its database, and return the one rebuilt."""
    folder = StateFolder(tmp_path)
    folder.prepare()

    def ask(what: Callable[[Outbox], object]) -> Outbox:
        with open_as_owner(tmp_path, now_s=NOW_S) as outbox:
            for number, way in enumerate(WAYS, start=1):
                send(outbox, folder, number, way)
            what(outbox)
        (tmp_path / DATABASE_NAME).unlink()
        return open_as_owner(tmp_path, now_s=NOW_S + 60)

    return ask


@pytest.mark.parametrize("state", sorted(OPEN))
def test_a_clip_that_is_being_sent_anew_goes_on(
    rebuilt: Callable[[Callable[[Outbox], object]], Outbox], state: ResendState
) -> None:
    with rebuilt(lambda outbox: ask_to_resend(outbox, state)) as outbox:
        (found,) = outbox.resends.in_states(OPEN)
        assert (found.state, found.session_id, found.target) == (state, "s2", _TOM)
        assert outbox.undoables.by_id(found.undoable_id) is not None


def test_an_athlete_who_is_to_be_forgotten_will_be(
    rebuilt: Callable[[Callable[[Outbox], object]], Outbox],
) -> None:
    with rebuilt(lambda outbox: forget(outbox, "tom", now=instant())) as outbox:
        (found,) = outbox.forgettings.unfinished()
        assert (found.user_id, found.state) == ("tom", "asked")
        assert outbox.undoables.by_id(found.undoable_id) is not None

"""The daemon's wish to end reaches whoever asked to be told, whenever it is said."""

from agent.stage import StopFlag


def test_who_asked_is_told_once_and_not_after_it_left() -> None:
    stop, heard = StopFlag(), []
    with stop.notifying(lambda: heard.append("gone")):
        pass
    with stop.notifying(lambda: heard.append("there")):
        stop.set()
    assert heard == ["there"]


def test_who_asks_after_the_wish_is_told_at_once() -> None:
    stop, heard = StopFlag(), []
    stop.set()
    with stop.notifying(lambda: heard.append("late")):
        assert heard == ["late"]

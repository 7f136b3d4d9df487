"""What the session list says of a clip."""

from agent.api.documents import ListedSession
from agent.delivery.reconcile import TitleSearch


def test_a_session_that_is_listed_twice_is_one_and_two_are_two() -> None:
    search = TitleSearch(["abcdefghjk"])
    first, second = (ListedSession(name, "[ABCDEFGHJK] squat") for name in "ab")

    for session in (first, first, second, ListedSession("c", "[zzzzzzzzzz]")):
        search.see(session)

    assert search.found("ABCDEFGHJK") == [first, second]

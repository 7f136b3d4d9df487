"""The line that systemctl status shows."""

from agent.daemon.systemd import describe_station
from agent.outbox.outbox import Outbox
from agent.outbox.pauses import Pause
from tests.factories import NOW_S, admitted, ready_entry

_HOST = "api.example.org"


def test_it_says_what_there_is_and_nothing_else(outbox: Outbox) -> None:
    assert describe_station(outbox, _HOST) == "watching"

    admitted(outbox, 1)
    assert describe_station(outbox, _HOST) == "1 capture to analyse"

    ready_entry(outbox, 2)
    outbox.pauses.begin(Pause(part="settings", reason="not_taken_over", detail="", since=NOW_S))
    told = describe_station(outbox, _HOST)
    assert told == "1 clip to upload; 2 captures to analyse; settings paused: not taken over"

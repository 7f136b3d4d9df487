"""The webhook against a real receiver: signed, in order, at least once, and never in the way."""

import json
import socket
import time

import pytest

from agent.errors import NotifyError
from agent.notifications.message import trial_notice
from agent.notifications.stage import MOST_TRIES
from agent.notifications.webhook import signed_headers, signing_key
from tests.factories import instant
from tests.integration.notifications.conftest import SECRET, Workbench, webhook
from tests.receiver import Receiver
from tests.unit.notifications.test_station_report import QUIET, but


def codes(receiver: Receiver) -> list[object]:
    return [json.loads(posted.body).get("clip_code") for posted in receiver.taken]


def test_a_notice_is_signed_and_named(bench: Workbench, receiver: Receiver) -> None:
    channel = bench.channel(webhook(receiver.url))
    code = bench.take()

    bench.turn(channel)

    (posted,) = receiver.taken
    document = json.loads(posted.body)
    assert (document["event"], document["clip_code"]) == ("take.ready", code)
    assert posted.headers["Spotter-Event"] == "take.ready"
    assert "." not in document["id"]  # a full stop separates what is signed
    assert posted.headers["Content-Type"] == "application/json"
    key = signing_key(SECRET)
    signed = signed_headers(document["id"], posted.body, key=key, now_s=instant().utc_s)
    assert signed.items() <= posted.headers.items()
    channel.close()


def test_while_the_receiver_fails_notices_wait_in_order(
    bench: Workbench, receiver: Receiver
) -> None:
    channel = bench.channel(webhook(receiver.url))
    waiting = [bench.take(), bench.take()]
    receiver.otherwise = 500

    bench.turn(channel, steps=3)

    state = bench.outbox.channels.get("webhook")
    assert state is not None and state.failing_since == instant().utc_s
    assert state.last_error == "the receiver answered HTTP 500" and state.failures == 3
    receiver.otherwise = 204
    bench.turn(channel, steps=3)
    assert codes(receiver) == waiting
    again = [posted.headers["webhook-id"] for posted in receiver.asked]
    assert again[:4] == again[:1] * 4 and len(set(again)) == 2  # the same id when sent again
    after = bench.outbox.channels.get("webhook")
    assert after is not None and (after.failing_since, after.failures) == (None, 0)
    channel.close()


def test_a_failure_is_not_tried_again_before_its_time(bench: Workbench, receiver: Receiver) -> None:
    channel = bench.channel(webhook(receiver.url))
    bench.take()
    receiver.otherwise, receiver.headers = 503, {"Retry-After": "120"}

    channel.step()
    bench.clock.now_s += 119
    channel.step()
    assert len(receiver.asked) == 1
    bench.clock.now_s += 2
    channel.step()
    assert len(receiver.asked) == 2
    channel.close()


def test_one_notice_that_is_refused_for_good_does_not_keep_back_the_rest(
    bench: Workbench, receiver: Receiver
) -> None:
    channel = bench.channel(webhook(receiver.url))
    bad, good = bench.take(), bench.take()
    receiver.answers[bad] = 400

    bench.turn(channel, steps=MOST_TRIES)
    assert codes(receiver) == [None, None]  # those by which the receiver was tried out
    bench.turn(channel)

    assert codes(receiver) == [None, None, good]
    count, last = bench.outbox.channels.refused("webhook")
    assert count == 1 and last is not None
    assert bad in last.notice and last.why == "the receiver answered HTTP 400"
    channel.close()


def test_a_receiver_that_takes_nothing_at_all_loses_nothing(
    bench: Workbench, receiver: Receiver
) -> None:
    channel = bench.channel(webhook(receiver.url))
    waiting = [bench.take(), bench.take()]
    receiver.otherwise = 401

    bench.turn(channel, steps=3 * MOST_TRIES)
    assert bench.outbox.channels.refused("webhook") == (0, None)

    receiver.otherwise = 204
    bench.turn(channel, steps=3)
    assert codes(receiver) == waiting
    channel.close()


def test_a_receiver_that_comes_or_goes_in_the_last_moment_costs_no_notice(
    bench: Workbench, receiver: Receiver
) -> None:
    channel = bench.channel(webhook(receiver.url))
    code = bench.take()
    receiver.otherwise = 500
    bench.turn(channel, steps=MOST_TRIES - 1)

    trials = iter([204, 500])  # it is there for the first trial alone
    receiver.on_asked = lambda posted: receiver.answers.update(
        {"station.test": next(trials)} if posted.event == "station.test" else {}
    )
    bench.turn(channel)
    assert codes(receiver) == [None]
    assert bench.outbox.channels.refused("webhook") == (0, None)

    receiver.answers.clear()
    receiver.on_asked = lambda posted: (
        setattr(receiver, "otherwise", 204) if posted.event == "station.test" else None
    )
    bench.turn(channel)
    assert codes(receiver) == [None, None, code]  # it was there from the trial on
    channel.close()


@pytest.mark.parametrize("answer", ["hang", "elsewhere", "endless"])
def test_what_is_no_plain_answer_harms_nothing(receiver: Receiver, answer: str) -> None:
    receiver.otherwise = answer
    timeout_s = 0.5 if answer == "hang" else 9.0
    way, began_s = webhook(receiver.url, timeout_s=timeout_s), time.monotonic()
    notice = trial_notice(station="p3", at=1.0)

    if answer == "endless":
        way.send(notice)  # its head says enough: nothing more is read
    else:
        told = "no answer within 0.5 s" if answer == "hang" else "redirects"
        with pytest.raises(NotifyError, match=told):
            way.send(notice)

    assert len(receiver.asked) == 1  # a redirect is not followed
    assert time.monotonic() - began_s < 10
    way.close()


def test_a_receiver_that_is_gone_is_no_news_for_the_other_channel(
    bench: Workbench, receiver: Receiver
) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{nobody.getsockname()[1]}/"
        dead, alive = bench.channel(webhook(url)), bench.channel(webhook(receiver.url), name="mqtt")
        bench.take()
        for _ in range(3):
            bench.turn(dead)
            bench.turn(alive)

    assert receiver.events() == ["take.ready"]
    failing = bench.outbox.channels.get("webhook")
    assert failing is not None and "cannot be reached" in str(failing.last_error)
    dead.close()
    alive.close()


def test_the_state_is_told_when_it_is_news_and_its_refusal_keeps_nothing_back(
    bench: Workbench, receiver: Receiver
) -> None:
    standing = QUIET
    channel = bench.channel(webhook(receiver.url), look=lambda: standing)

    bench.turn(channel, steps=3)
    assert [posted.event for posted in receiver.taken] == ["station.state"]
    standing = but(held=1)
    receiver.answers["station.state"] = 400
    bench.take()
    bench.turn(channel, steps=2)

    assert receiver.events() == ["take.ready"]
    receiver.answers.clear()
    bench.turn(channel)
    assert json.loads(receiver.taken[-1].body)["held"] == 1
    channel.close()


def test_without_a_secret_nothing_goes_out_unsigned(receiver: Receiver) -> None:
    for secret, told in ((None, "no secret"), ("dG9vIHNob3J0", "24 to 64 bytes")):
        way = webhook(receiver.url)
        way._read_secret = lambda secret=secret: secret  # type: ignore[misc]  # bound at once
        with pytest.raises(NotifyError, match=told):
            way.send(trial_notice(station="p3", at=1.0))
    assert receiver.asked == []

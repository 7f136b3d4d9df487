"""Keys that are no admin's: the owner's clips go, the others are held, nothing pauses."""

import base64
import json

import pytest

from agent.delivery.circuit_breaker import KeyPolicy
from agent.outbox.states import Reason, Recipient
from agent.sandbox.account import OWNER_UID
from agent.sandbox.server import Sandbox
from agent.station import clip_actions
from tests.integration.delivery.conftest import SLOW_S, World
from tests.integration.delivery.test_faults_list import RULES
from tests.station import KEY


def jwt(**claims: object) -> str:
    parts = ({"alg": "none"}, claims, "signature")
    told = (base64.urlsafe_b64encode(json.dumps(part).encode()).decode() for part in parts)
    return ".".join(part.rstrip("=") for part in told)


@pytest.fixture(params=["setting", "key"])
def own(world: World, sandbox: Sandbox, request: pytest.FixtureRequest) -> World:
    """A lane with an own-account key, whose owner is known from either."""
    if request.param == "setting":
        world.settings = KeyPolicy(owner_id=OWNER_UID)
        world.renew_key(sandbox, "users-key", role="user")
    else:
        world.renew_key(sandbox, jwt(uid=OWNER_UID), role="user")
    world.start()
    return world


def test_the_owners_clips_go_and_the_others_are_held(own: World, sandbox: Sandbox) -> None:
    own.add(1, user_id=OWNER_UID)
    own.add(2, user_id="athlete-0002")
    own.add(3, user_id=None, recipient=Recipient.KEY_OWNER)
    own.add(4, user_id=OWNER_UID)

    own.run(7200)

    assert own.states() == ["uploaded", "held", "uploaded", "uploaded"]
    assert own.entry(2).reason == Reason.KEY_CANNOT_SEND
    assert {session.endpoint for session in sandbox.book.sessions} == {"own"}
    assert {session.user_id for session in sandbox.book.sessions} == {OWNER_UID}
    assert own.lane_state.paused_reason is None


def test_an_unknown_outcome_goes_to_a_person_and_pauses_nothing(
    own: World, sandbox: Sandbox
) -> None:
    sandbox.add_fault("503")
    own.add(1, user_id=OWNER_UID)
    own.add(2, user_id=OWNER_UID)

    own.run(60)

    assert own.states() == ["held", "uploaded"]
    assert own.entry(1).reason == Reason.OUTCOME_UNKNOWN
    assert "may not list the sessions" in str(own.entry(1).detail)
    own.run(2 * 86_400)
    assert own.lane_state.paused_reason is None

    clip_actions.release(own.outbox, own.entry(1), said=None, rules=RULES, now_s=own.clock_s)
    own.run(60)
    own.check_delivered_once(sandbox, 2)


def test_without_a_word_of_its_owner_only_nobodys_clips_go(world: World, sandbox: Sandbox) -> None:
    world.renew_key(sandbox, "users-key", role="user")
    world.add(1, user_id=OWNER_UID)
    world.add(2, user_id=None, recipient=Recipient.KEY_OWNER)

    world.run(60)

    assert world.states() == ["held", "uploaded"]


def test_a_key_that_becomes_an_admins_releases_what_was_held(own: World, sandbox: Sandbox) -> None:
    own.add(1, user_id="athlete-0002")
    own.run(60)
    assert own.states() == ["held"]

    sandbox.add_key(str(own.key), role="admin")
    own.add(2, user_id=OWNER_UID)
    own.clock_s += 3700
    own.run(60)

    own.check_delivered_once(sandbox, 2)


def test_a_forced_admin_role_pauses_the_lane_instead(world: World, sandbox: Sandbox) -> None:
    world.settings = KeyPolicy(role="admin")
    world.renew_key(sandbox, "users-key", role="user")
    world.start()
    world.add(1, user_id="athlete-0002")

    world.run(60)

    assert world.states() == ["ready"]
    assert world.lane_state.paused_reason == "account"


def test_a_key_of_another_domain_is_no_own_account_key(world: World, sandbox: Sandbox) -> None:
    sandbox.allowed_domain = "gym.example"
    world.add(1, user_id="athlete-0002")

    world.run(60)

    assert world.states() == ["ready"]
    assert world.lane_state.paused_reason == "account"
    assert "api.origin" in str(world.lane_state.paused_detail)
    sandbox.allowed_domain = None
    world.run(61)
    world.check_delivered_once(sandbox, 1)


def test_an_admins_key_whose_list_is_refused_leaves_it_to_a_person(
    world: World, sandbox: Sandbox
) -> None:
    sandbox.add_fault("lost-answer")
    sandbox.add_fault("403@list*always")
    world.add()

    world.run(SLOW_S + 3600)

    assert (world.states(), world.entry().reason) == (["held"], Reason.OUTCOME_UNKNOWN)
    world.add(2)
    world.run(3600)
    assert world.states() == ["held", "uploaded"]
    assert world.key == KEY

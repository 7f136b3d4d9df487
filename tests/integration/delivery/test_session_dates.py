"""Sessions get the time of filming, in the zone that the setting names."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from agent.api.client import ApiKey
from agent.delivery.session_changes import SessionDatesStage
from agent.retry import Backoff
from agent.sandbox.server import Sandbox
from tests.factories import NOW_S
from tests.integration.delivery.conftest import World
from tests.station import KEY


def dating(world: World, zone: str | None) -> SessionDatesStage:
    return SessionDatesStage(
        world.outbox,
        world.client,
        zone=None if zone is None else ZoneInfo(zone),
        key=lambda: ApiKey(token=KEY, header="API-KEY"),
        backoff=Backoff(base_s=5.0, longest_s=3600.0),
        now=world.now,
    )


def work(stage: SessionDatesStage) -> None:
    while stage.step() == 0.0:
        pass


def dates(sandbox: Sandbox) -> list[str]:
    made = [datetime.fromtimestamp(s.created_at, UTC) for s in sandbox.book.sessions]
    return [f"{moment:%Y-%m-%d %H:%M:%S}" for moment in made]


def test_what_was_uploaded_late_gets_the_time_of_filming(world: World, sandbox: Sandbox) -> None:
    stage = dating(world, "Asia/Kolkata")
    work(stage)
    world.clock_s = NOW_S + 30
    world.add(1)
    world.run(1)
    world.clock_s = NOW_S + 86_400
    world.add(2)
    world.run(1)
    before = dates(sandbox)

    work(stage)

    filmed = datetime.fromtimestamp(NOW_S, ZoneInfo("Asia/Kolkata"))
    assert dates(sandbox) == [before[0], f"{filmed:%Y-%m-%d %H:%M:%S}"]
    puts = [r for r in sandbox.book.requests if r.method == "PUT"]
    work(stage)
    assert [r for r in sandbox.book.requests if r.method == "PUT"] == puts


def test_the_other_form_of_the_path_is_found_and_remembered(world: World, sandbox: Sandbox) -> None:
    sandbox.ends_in_slash = True
    stage = dating(world, "UTC")
    work(stage)
    world.clock_s += 3600
    for number in (1, 2, 3):
        world.add(number)
    world.run(1)

    work(stage)

    statuses = [r.status for r in sandbox.book.requests if r.method == "PUT"]
    assert statuses == [404, 200, 200, 200]


def test_what_fails_is_tried_again_and_what_is_refused_is_left(
    world: World, sandbox: Sandbox
) -> None:
    stage = dating(world, "UTC")
    work(stage)
    world.clock_s += 3600
    world.add(1)
    world.add(2)
    world.run(1)
    sandbox.add_fault("503@session")
    sandbox.add_fault("403:error=plan@session")

    work(stage)
    world.clock_s += 60
    work(stage)
    world.clock_s += 86_400
    work(stage)

    statuses = sorted(str(r.status) for r in sandbox.book.requests if r.method == "PUT")
    assert statuses == ["200", "403", "503"]


def test_nothing_is_dated_where_it_is_off_or_was_delivered_before(
    world: World, sandbox: Sandbox
) -> None:
    world.clock_s += 3600
    world.add(1)
    world.run(1)
    world.clock_s += 60

    work(dating(world, None))
    work(dating(world, "UTC"))

    assert "PUT" not in {r.method for r in sandbox.book.requests}

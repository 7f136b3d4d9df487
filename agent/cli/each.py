"""Changing several things, each by itself: one that cannot be changed does not keep the others."""

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from agent.cli.common import complain, print_json, steered_outbox
from agent.errors import AgentError, RequestError

if TYPE_CHECKING:
    from agent.outbox.entry import Entry
    from agent.outbox.store import Outbox
    from agent.settings import Settings

    Change = Callable[[Settings, Outbox, str], dict[str, object]]

TOLD = "told"  # what people are told of an outcome, and scripts are not


def change_each(
    ids: Sequence[str],
    change: "Change",
    *,
    config: Path | None,
    as_json: bool,
    probe: bool = False,
) -> None:
    """Change each ID and tell what became of it.

    Args:
        ids: what people named.
        change: changes one and returns its `id`, its `state`, and `error`: None; perhaps with
            what people are told instead of the state.
        config, as_json: the options of the command.
        probe: let a paused lane ask at once.

    Raises:
        SystemExit: some could not be changed, each of which was told; with the code of
            the first.
    """
    from agent.station.of_settings import api_host

    outcomes: list[dict[str, object]] = []
    failed: list[AgentError] = []
    with steered_outbox(config) as (settings, box):
        for wanted in ids:
            try:
                outcomes.append(change(settings, box, wanted))
            except AgentError as error:
                failed.append(error)
                outcomes.append({"id": wanted, "state": None, "error": str(error)})
        if probe:
            lane = box.lanes.update(api_host(settings), {"next_probe_at": 0.0})
            box.limits.try_now(lane.uid)
    _tell(outcomes, as_json=as_json)
    for refusal in failed:
        complain(refusal)
    if failed:
        sys.exit(failed[0].exit_code)


def _tell(outcomes: Sequence[dict[str, object]], *, as_json: bool) -> None:
    words = [outcome.pop(TOLD, outcome["state"]) for outcome in outcomes]
    if as_json:
        print_json(outcomes)
        return
    for outcome, told in zip(outcomes, words, strict=True):
        if outcome["error"] is None:
            click.echo(f"{outcome['id']} is now {told}")


def clip_named(box: "Outbox", wanted: str) -> "Entry":
    """Return the clip that an ID stands for.

    Raises:
        RequestError: there is no such thing, or it is a capture.
    """
    from agent.outbox.capture import Capture
    from agent.station.steering import find

    entry = find(box, wanted)
    if isinstance(entry, Capture):
        raise RequestError(
            f"{entry.name} is a recording, not a clip", hint=f"its clips: spotter show {entry.name}"
        )
    return entry

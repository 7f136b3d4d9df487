"""The commands `outbox give`, `edit`, `hold`, `send`, `resend`, and `undo`."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from agent.cli.common import (
    TOLD,
    apply_to_each,
    clip_named,
    config_option,
    json_option,
    print_json,
    steered_outbox,
)
from agent.cli.options import MovementOptions, movement_options
from agent.errors import RequestError

if TYPE_CHECKING:
    from agent.outbox.outbox import Outbox
    from agent.settings import Settings


@click.command()
@click.argument("ids", metavar="ID...", nargs=-1, required=True)
@click.option("--user-id", required=True, help="Athlete, or guest:3.")
@movement_options
@config_option
@json_option
def give(
    ids: tuple[str, ...],
    user_id: str,
    told: MovementOptions,
    config: Path | None,
    as_json: bool,
) -> None:
    """Assign clips to an athlete before upload.

    Held clips are released.  Omitted options stay unchanged.  Uploading begins after
    delivery.send_delay_s; spotter undo reverts it within 10 s.
    """

    def change(settings: "Settings", box: "Outbox", wanted_id: str) -> dict[str, object]:
        from agent.cli.common import warn_unknown_athlete
        from agent.clock import read_clock
        from agent.station.assignments import station_rules
        from agent.station.clip_actions import give as give_clip
        from agent.station.clip_actions import remember_given

        rules, now = station_rules(settings), read_clock()
        entry = clip_named(box, wanted_id)
        wanted = told.of_clip(entry)
        with box.transaction():
            given = give_clip(box, entry, user_id, wanted, rules=rules, now_s=now.utc_s)
            remember_given(box, [(entry, given)], now=now)
        warn_unknown_athlete(box, user_id)
        return {"id": given.name, "state": given.state, "error": None}

    apply_to_each(ids, change, config=config, as_json=as_json)


@click.command()
@click.argument("ids", metavar="ID...", nargs=-1, required=True)
@movement_options
@config_option
@json_option
def edit(ids: tuple[str, ...], told: MovementOptions, config: Path | None, as_json: bool) -> None:
    """Change exercise, weight or incline before upload.

    The athlete and the hold stay unchanged, and so do omitted options.  spotter undo reverts it
    within 10 s.
    """
    if not told.is_something:
        raise click.UsageError(
            "nothing to change: give --activity, --exercise, --barbell-mass or --incline"
        )

    def change(settings: "Settings", box: "Outbox", wanted_id: str) -> dict[str, object]:
        from agent.clock import read_clock
        from agent.station.assignments import station_rules
        from agent.station.clip_actions import edit as edit_clip
        from agent.station.clip_actions import remember_given

        rules, now = station_rules(settings), read_clock()
        entry = clip_named(box, wanted_id)
        shows = told.of_clip(entry)
        assert shows is not None  # something was told
        with box.transaction():
            edited = edit_clip(box, entry, shows, rules=rules, now_s=now.utc_s)
            remember_given(box, [(entry, edited)], now=now)
        return {"id": edited.name, "state": edited.state, "error": None}

    apply_to_each(ids, change, config=config, as_json=as_json)


@click.command()
@click.argument("ids", metavar="ID...", nargs=-1, required=True)
@config_option
@json_option
def hold(ids: tuple[str, ...], config: Path | None, as_json: bool) -> None:
    """Hold clips for review until they are released."""

    def change(_settings: "Settings", box: "Outbox", wanted_id: str) -> dict[str, object]:
        from agent.clock import read_clock
        from agent.station.clip_actions import hold as hold_clip

        held = hold_clip(box, clip_named(box, wanted_id), now_s=read_clock().utc_s)
        return {"id": held.name, "state": held.state, "error": None}

    apply_to_each(ids, change, config=config, as_json=as_json)


@click.command()
@click.argument("ids", metavar="ID...", nargs=-1, required=True)
@click.option("--user-id", required=True, help="The right athlete.")
@movement_options
@config_option
@json_option
def resend(
    ids: tuple[str, ...],
    user_id: str,
    told: MovementOptions,
    config: Path | None,
    as_json: bool,
) -> None:
    """Upload clips again for the right athlete.

    The wrong sessions are then deleted.  It begins after 10 s; until then spotter undo reverts
    it.  Omitted options stay unchanged.
    """

    def change(settings: "Settings", box: "Outbox", wanted_id: str) -> dict[str, object]:
        from agent.cli.common import warn_unknown_athlete
        from agent.clock import read_clock
        from agent.station.assignments import state_folder, station_rules
        from agent.station.clip_actions import resend as ask_resend

        rules, clips = station_rules(settings), state_folder(settings).clips
        entry = clip_named(box, wanted_id)
        wanted = told.of_clip(entry)
        asked = ask_resend(box, clips, entry, user_id, wanted, rules=rules, now=read_clock())
        warn_unknown_athlete(box, user_id)
        words = f"being resent for {user_id} (spotter undo reverts it within 10 s)"
        done = {"id": entry.name, "state": asked.state, "error": None, "resend": asked.id}
        return {**done, TOLD: words}

    apply_to_each(ids, change, config=config, as_json=as_json)


@click.command()
@click.argument("ids", metavar="ID...", nargs=-1, required=True)
@config_option
@json_option
def delete_wrong(ids: tuple[str, ...], config: Path | None, as_json: bool) -> None:
    """Retry deleting the wrong sessions after a resend."""

    def change(_settings: "Settings", box: "Outbox", wanted_id: str) -> dict[str, object]:
        from agent.clock import read_clock
        from agent.station.clip_actions import retry_deletion

        entry = clip_named(box, wanted_id)
        found = box.resends.of_entry(entry.id)
        if found is None:
            raise RequestError(f"{entry.name} was not resent", hint=f"spotter show {entry.name}")
        moved = retry_deletion(box, found.id, now_s=read_clock().utc_s)
        return {"id": entry.name, "state": moved.state, "error": None, "resend": moved.id}

    apply_to_each(ids, change, config=config, as_json=as_json)


@click.command()
@config_option
@json_option
def undo(config: Path | None, as_json: bool) -> None:
    """Undo the last action (within 10 s).

    That is the last give, edit, release, discard, resend, forget (from the page), a paused
    recording, a removed queue entry or a cleared queue.
    """
    from agent.clock import read_clock
    from agent.station.clip_actions import last_undoable
    from agent.station.clip_actions import undo as take_back

    now = read_clock()
    with steered_outbox(config) as (_settings, box):
        last = last_undoable(box, now=now)
        if last is None:
            raise RequestError("nothing to undo: actions can be undone for 10 s")
        take_back(box, last.id, now=now)
    if as_json:
        print_json({"undone": last.kind})
    else:
        click.echo(f"undone: {last.kind.replace('_', ' ')}")

"""spotter forget."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from agent.cli.common import (
    config_option,
    json_option,
    opened_outbox,
    print_json,
    settings_of,
    wake_daemon,
)
from agent.cli.unknown import warn_of_unknown
from agent.errors import RequestError

if TYPE_CHECKING:
    from agent.station.forgetting import Belongings


@click.command()
@click.argument("user_id")
@click.option("--yes", is_flag=True, help="Do not ask.")
@config_option
@json_option
def forget(user_id: str, yes: bool, config: Path | None, as_json: bool) -> None:
    """Remove an athlete from this box, with all clips.

    Name, clips, pictures and results go, of an athlete or a guest (guest:3).  Clips that were
    not delivered go too.  The sessions at the API stay there, and are listed.
    """
    from agent.clock import read_clock
    from agent.logs import configure_logs
    from agent.station.forgetting import belongings, carry_out
    from agent.station.forgetting import forget as ask_to_forget
    from agent.station.of_settings import state_folder

    if as_json and not yes:
        raise click.UsageError("--json goes with --yes: nobody is asked")
    configure_logs("error")
    settings = settings_of(config)
    with opened_outbox(settings) as box:
        owned = belongings(box, user_id)
        if not (owned.clips or owned.sessions):
            warn_of_unknown(box, user_id)
        if not yes:
            _confirm(user_id, owned)
        asked = box.forgettings.of_undoable(ask_to_forget(box, user_id, now=read_clock()).id)
        assert asked is not None  # made with it
        progress = carry_out(box, state_folder(settings), asked, now=read_clock)
    wake_daemon(settings)
    document = {
        "user_id": user_id,
        "done": progress.done,
        "clips": owned.clips,
        "undelivered": owned.unsent,
        "waits_for": list(progress.waits_for),
        "sessions": list(owned.sessions),
        "named_in_settings": settings.station.user_id == user_id,
    }
    if as_json:
        print_json(document)
    else:
        _tell(document)


def _confirm(user_id: str, owned: "Belongings") -> None:
    from agent.plurals import counted

    clips = counted(owned.clips, "clip") if owned.clips else "no clip"
    unsent = f", {owned.unsent} of them never delivered" if owned.unsent else ""
    question = (
        f"Of {user_id} this box has {clips}{unsent}.  All that names or shows them goes for good.  "
        "Go on?"
    )
    if not click.confirm(question):
        raise RequestError("nothing was changed")


def _tell(document: dict[str, object]) -> None:
    from agent.plurals import counted

    who, clips = document["user_id"], document["clips"]
    sessions, waits_for = document["sessions"], document["waits_for"]
    assert isinstance(sessions, list) and isinstance(waits_for, list)  # made above
    assert isinstance(clips, int)
    click.echo(f"gone from this box: {counted(clips, 'clip')} of {who}")
    if waits_for:
        click.echo(
            f"the rest goes by itself, once others' clips in it are delivered or its own sending "
            f"has ended: {', '.join(waits_for)}"
        )
    if document["named_in_settings"]:
        click.echo("the settings still name this athlete: station.user_id")
    click.echo(f"still at the API: {', '.join(sessions) if sessions else 'no session'}")

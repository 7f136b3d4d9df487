"""A word where an athlete is named whom the account's roster does not hold: a slip of the keys?"""

from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from agent.outbox.store import Outbox


def warn_of_unknown(outbox: "Outbox", user_id: str | None) -> None:
    """Say on standard error that the roster does not hold somebody; nothing where there is none.

    It is only a word: who joined the account a minute ago may lift before the roster knows it.
    """
    told = unknown_words(outbox, user_id)
    if told is not None:
        click.echo(f"  {told}", err=True)


def unknown_words(outbox: "Outbox", user_id: str | None) -> str | None:
    """Return what to say of somebody whom the roster does not hold, or None."""
    from agent.cli.common import local_time
    from agent.outbox.people.roster import GUEST_PREFIX
    from agent.outbox.people.switches import ROSTER_SYNCED_AT

    if user_id is None or user_id.startswith(GUEST_PREFIX):
        return None
    athlete, known = outbox.roster.by_user_id(user_id), outbox.roster.count()
    if not known or (athlete is not None and athlete.gone_at is None):
        return None
    synced_at = outbox.switches.moment(ROSTER_SYNCED_AT)
    as_of = "" if synced_at is None else f" (as of {local_time().moment(synced_at)})"
    return (
        f"{user_id} is not in the account's roster{as_of}; check the spelling "
        "(spotter athletes --sync reloads the roster)"
    )

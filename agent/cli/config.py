"""spotter config."""

from pathlib import Path

import click

from agent.cli.common import config_option, json_option, print_json


@click.command()
@click.option("--sample", is_flag=True, help="Print a commented sample file.")
@click.option("--check", is_flag=True, help="Validate the settings.")
@config_option
@json_option
def config(sample: bool, check: bool, config: Path | None, as_json: bool) -> None:
    """Show the active settings and the origin of each.

    The output has the form of a settings file; secrets are hidden.  --sample prints a file with
    every setting and its meaning.
    """
    from agent.settings import effective, loaded_settings, sample_toml

    if sample and as_json:
        raise click.UsageError("--sample cannot be combined with --json")
    if sample:
        click.echo(sample_toml(), nl=False)
        return
    loaded = loaded_settings(config)
    if check:
        _tell_usable(loaded.path, as_json=as_json)
        return
    tables, origins = effective(loaded.settings), loaded.origins
    if as_json:
        print_json({**tables, "origins": {"file": str(loaded.path), **origins}})
        return
    for table, values in tables.items():
        click.echo(f"[{table}]")
        for key, value in values.items():
            origin = origins[table][key]
            told = str(loaded.path) if origin == "file" else str(origin)
            click.echo(f"{_line(key, value):50}  # {told}")
        click.echo()


def _tell_usable(path: Path, *, as_json: bool) -> None:
    if as_json:
        print_json({"file": str(path), "usable": True})
    else:
        click.echo(f"{path} is valid")


def _line(key: str, value: object) -> str:
    """Return a setting as it would stand in the file; what cannot stand there is a remark."""
    from agent.settings.load import HIDDEN
    from agent.settings.toml import toml_value

    if value is None:
        return f"# {key} is not set"
    return f"# {key} is hidden" if value == HIDDEN else f"{key} = {toml_value(value)}"

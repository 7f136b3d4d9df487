"""spotter config."""

from pathlib import Path

import click

from agent.cli.common import config_option, json_option, print_json, settings_of


@click.command()
@click.option("--sample", is_flag=True, help="Print a commented sample file instead.")
@config_option
@json_option
def config(sample: bool, config: Path | None, as_json: bool) -> None:
    """Show the effective settings, with secrets hidden."""
    from agent.settings import effective, sample_toml

    if sample:
        click.echo(sample_toml(), nl=False)
        return
    tables = effective(settings_of(config))
    if as_json:
        print_json(tables)
        return
    for table, values in tables.items():
        click.echo(f"[{table}]")
        for key, value in values.items():
            click.echo(f"{key} = {'(not set)' if value is None else value}")
        click.echo()

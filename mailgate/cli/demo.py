"""The demo as a command."""

import asyncio
from pathlib import Path
from typing import Final

import click

from mailgate.cli.root import main, refuse

_STATE: Final = Path("demo-state")


@main.command()
@click.option("--exit", "exits", is_flag=True, help="End by itself instead of staying up until Ctrl-C.")
@click.option(
    "--keep",
    "folder",
    metavar="DIR",
    type=click.Path(path_type=Path, file_okay=False),
    default=_STATE,
    help=f"The gate's folder, a new or an empty one; without it {_STATE}, which every demo makes anew.",
)
@click.pass_context
def demo(context: click.Context, exits: bool, folder: Path) -> None:
    """Play a city's journeys against a whole gate, over real SMTP and HTTP; every mail is caught."""
    from mailgate.demo.play import play
    from mailgate.demo.story import Amiss

    if folder != _STATE and folder.exists() and any(folder.iterdir()):
        refuse(f"{folder} is not empty: give a new or an empty folder")
    try:
        code = asyncio.run(play(folder, stays=not exits))
    except Amiss as error:
        refuse(str(error))
    context.exit(code)

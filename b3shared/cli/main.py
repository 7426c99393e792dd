"""The program ``b3``: its commands, its exit status, and its errors in one line each."""

import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Any, NamedTuple

import click

from b3shared import __version__
from b3shared.cli.errors import describe, was_interrupted
from b3shared.cli.places import Places, place_options

FAILED = 2
"""Exit status after an error that is not the program's own."""

INTERRUPTED = 130
"""Exit status after Ctrl-C, as in a shell."""


class _Entry(NamedTuple):
    module: str
    summary: str


COMMANDS = {
    "run": _Entry("run", "Train, evaluate and register a model; decide what goes live."),
    "predict": _Entry("predict", "Forecast from the newest quotes."),
    "ingest": _Entry("ingest", "Bring the exchange's own files into the lake."),
    "lake": _Entry("lake", "Put the quotes into the lake, one file a year."),
    "market": _Entry("market", "Put CDI, Ibovespa and sectors into the storage; show them."),
    "models": _Entry("registry", "List the registered versions and what is live."),
    "promote": _Entry("registry", "Make a version live."),
    "rollback": _Entry("registry", "Go back to the version that was live before."),
}
"""Name of a command -> its module in ``b3shared.cli.commands``, and what ``b3 --help`` says."""


class _Program(click.Group):
    """Imports a command when it is used, so that help and shell completion answer at once."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names of the commands."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a command; None for an unknown name."""
        if cmd_name not in COMMANDS:
            return None
        module = import_module(f"b3shared.cli.commands.{COMMANDS[cmd_name].module}")
        command: click.Command = getattr(module, cmd_name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, entry.summary) for name, entry in COMMANDS.items()])

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; report Ctrl-C and errors from outside the program in one line."""
        try:
            return super().invoke(ctx)
        except (click.ClickException, click.Abort, click.exceptions.Exit, BrokenPipeError):
            raise
        except (Exception, KeyboardInterrupt) as error:
            if was_interrupted(error):
                print("interrupted", file=sys.stderr)
                ctx.exit(INTERRUPTED)

            reason = describe(error, ctx.ensure_object(Places).locations())
            if reason is None:
                raise
            print(reason, file=sys.stderr)
            ctx.exit(FAILED)


@click.group(
    cls=_Program,
    help="Honest daily forecasts for the Brazilian exchange (B3).",
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, prog_name="b3")
@place_options
def b3() -> None:
    """Hold the commands."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return the exit status.

    What is wrong with the input, the machine or the network is told in one line. Only a fault of
    the program itself is a traceback.

    Args:
        arguments: the words after ``b3``; None is ``sys.argv``.
    """
    try:
        status = b3.main(arguments, prog_name="b3", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        return error.exit_code
    return int(status or 0)

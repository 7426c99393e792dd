"""Runs commands of the command line in this process, or in a process of their own."""

import io
import subprocess
import sys
from contextlib import chdir, redirect_stderr, redirect_stdout
from typing import Any

import click
from paths import ROOT
from small_run import SMALL

from b3shared.cli.main import b3 as program
from b3shared.cli.main import main

WORDS = [
    f"{name}={','.join(value) if isinstance(value, list) else value}"
    for name, value in SMALL.items()
]
"""The parameters of a small run."""


def parse(*words: str) -> dict[str, Any]:
    """Values of a command's options and arguments, by name; a usage error where there is one.

    The options of the program itself may stand before the command.
    """
    context = program.make_context("b3", list(words))
    name, command, rest = program.resolve_command(
        context, [*context._protected_args, *context.args]
    )
    assert isinstance(command, click.Command)
    return command.make_context(name, rest, parent=context).params


def b3(*words: str) -> subprocess.CompletedProcess[str]:
    """Run a command in this process: another one would import everything again, which is slow."""
    out, err = io.StringIO(), io.StringIO()
    with chdir(ROOT), redirect_stdout(out), redirect_stderr(err):
        status = main(list(words))
    return subprocess.CompletedProcess(words, status, out.getvalue(), err.getvalue())


def b3_process(*words: str) -> subprocess.CompletedProcess[str]:
    """Run a command in a process of its own, as a person does."""
    return subprocess.run(
        [sys.executable, "-m", "b3shared", *words],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
    )

"""Leaves nothing behind, whatever happens to the emulator.

A process of its own, run as a script by the emulator, which tells it on standard input of every
worker's process group (``+id`` when it starts, ``-id`` when it has ended). When that pipe closes,
because the emulator has closed it or was killed, the groups that are left are killed and the folder
of temporary files is removed. (``prctl(PR_SET_PDEATHSIG)`` will not do: it fires when the *thread*
that started the worker ends, and is Linux only.)
"""

import contextlib
import os
import shutil
import signal
import sys
from typing import TextIO


def reap(commands: TextIO, folder: str) -> None:
    """Follow the emulator's word until it ends, then clean up after it.

    Args:
        commands: Lines ``+<process group>`` and ``-<process group>``.
        folder: The temporary files of this run.
    """
    groups: set[int] = set()
    for line in commands:
        group = int(line)
        if group > 0:
            groups.add(group)
        else:
            groups.discard(-group)
    for group in groups:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(group, signal.SIGKILL)
    shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    for ignored in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(ignored, signal.SIG_IGN)
    reap(sys.stdin, sys.argv[1])

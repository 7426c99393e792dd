"""Kills the workers and removes temporary files when the emulator ends or is killed.

The emulator runs this script in a process of its own and writes every worker's process group to its
standard input (``+id`` when it starts, ``-id`` when it has ended). When that pipe closes, because
the emulator has closed it or was killed, the groups that are left are killed and the folder of
temporary files is removed. (``prctl(PR_SET_PDEATHSIG)`` will not do: it fires when the *thread*
that started the worker ends, and is Linux only.)
"""

import contextlib
import os
import shutil
import signal
import sys
from typing import TextIO


def reap(commands: TextIO, folder: str) -> None:
    """Track process groups until ``commands`` ends, then kill those that are left.

    Args:
        commands: Lines ``+<process group>`` and ``-<process group>``.
        folder: Folder of temporary files, removed at the end.
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

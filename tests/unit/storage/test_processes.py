"""Processes that write to one folder storage at once, or are killed while they write."""

import subprocess
import sys

import pytest

from b3shared.storage import FolderStorage

RACER = """
import os, pathlib, sys
from b3shared.core.errors import ConflictError
from b3shared.storage import open_storage
storage, work = open_storage(sys.argv[1]), sys.argv[2]
mine = str(os.getpid()).encode()
print("ready", flush=True)
sys.stdin.readline()
try:
    if work == "create":
        storage.create("create", mine)
    elif work == "replace":
        storage.replace("replace", mine, sys.argv[3])
    for _ in range(15 if work == "count" else 0):
        while True:
            data, etag = storage.read_versioned("count")
            try:
                storage.replace("count", b"%d" % (int(data) + 1), etag)
                break
            except ConflictError:
                pass
    print(os.getpid())
except ConflictError:
    print(0)
"""


def race_processes(count, *arguments):
    """Start processes, let them all go at once, and return the ids of those that won."""
    command = [sys.executable, "-c", RACER, *arguments]
    racers = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        for _ in range(count)
    ]
    for racer in racers:
        assert racer.stdout.readline() == b"ready\n"

    for racer in racers:
        racer.stdin.write(b"go\n")
        racer.stdin.flush()
    winners = [int(racer.communicate()[0]) for racer in racers]
    assert [racer.returncode for racer in racers] == [0] * count
    return [pid for pid in winners if pid]


@pytest.mark.parametrize("work", ["create", "replace"])
def test_racing_processes_have_one_winner(tmp_path, work):
    storage = FolderStorage(tmp_path)
    etag = storage.put(
        "replace", b"0" * 20_000_000
    )  # takes a while to compare: a long moment to be overtaken in
    winners = race_processes(6, storage.url, work, etag)
    assert len(winners) == 1
    assert storage.read(work) == b"%d" % winners[0]


def test_processes_that_compare_and_swap_lose_no_increment(tmp_path):
    storage = FolderStorage(tmp_path)
    storage.put("count", b"0")
    race_processes(4, storage.url, "count")
    assert storage.read("count") == b"60"


WRITER = """
import sys
from b3shared.storage import open_storage
storage, turn = open_storage(sys.argv[1]), 0
while True:
    turn += 1
    storage.put("k", (b"%d" % (turn % 10)) * 2_000_000)
    if turn == 1:
        print("writing", flush=True)
"""


def is_complete(content):
    return bool(content) and content == content[:1] * 2_000_000


def test_a_writer_killed_at_any_moment_leaves_the_old_content_or_the_new(tmp_path):
    storage = FolderStorage(tmp_path)

    for pause in range(6):
        command = [sys.executable, "-c", WRITER, storage.url]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as writer:
            try:
                assert writer.stdout.readline() == b"writing\n"
                for _ in range(10 * pause):  # readers see whole contents while it writes, too
                    assert is_complete(storage.read("k"))
            finally:
                writer.kill()  # SIGKILL
        assert is_complete(storage.read("k"))
        assert storage.list() == ["k"]
        storage.put("k", b"0" * 2_000_000)  # the dead writer's lock died with it

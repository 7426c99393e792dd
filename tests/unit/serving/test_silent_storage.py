"""A storage that stops answering delays no request beyond a bound, and is followed again later."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from live_world import World, name_of
from served_store import (
    WatchedStorage,
)

from b3shared.core.errors import (
    NothingLiveError,
    SourceUnavailableError,
)
from b3shared.serving.live import CHECK_SECONDS, HUNG_SECONDS, RETRY_SECONDS, Live


class SilentStorage(WatchedStorage):
    """A folder storage that can be made to leave every request unanswered until it is released."""

    def __init__(self, path: str | Path) -> None:
        super().__init__(path)
        self.silent = False
        self.go_on = threading.Event()

    def _look(self, key: str, how: str) -> None:
        super()._look(key, how)
        if self.silent:
            self.go_on.wait(60)


class SilentWorld(World):
    """A world whose storage can stop answering; a request waits for it for a bounded time."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.watched: SilentStorage = SilentStorage(folder / "store")
        self.live = Live(self.watched, clock=lambda: self.now, moment=60, cold=60)

    def impatient(self) -> None:
        self.live._moment = self.live._cold = 0.01


@pytest.fixture
def silent(tmp_path: Path) -> Iterator[SilentWorld]:
    """A live version, whose storage has stopped answering."""
    world = SilentWorld(tmp_path)
    world.serve()
    world.promote(world.register(1))
    world.live.refresh()
    world.watched.silent = True
    world.impatient()
    yield world
    world.watched.go_on.set()


def test_every_request_is_answered_while_the_storage_is_silent(silent: SilentWorld) -> None:
    first = name_of(silent.live)
    silent.watched.reads.clear()
    for _ in range(50):
        assert name_of(silent.after(CHECK_SECONDS / 100)) == first
    assert silent.live.doubts("rf", silent.live.version("rf")) == []
    assert (
        len(silent.watched.reads) <= 1
    )  # one look waits, and no request waits for it a second time


def test_a_check_of_the_release_that_hangs_is_given_up_and_the_next_one_counts(
    silent: SilentWorld,
) -> None:
    first = silent.live.version("rf")
    second = silent.register(2)
    silent.promote(second)
    silent.after(CHECK_SECONDS)  # hangs
    silent.after(HUNG_SECONDS)
    assert silent.live.doubts("rf", first) == [
        "what is live could not be checked (no answer); this was live before"
    ]

    silent.watched.silent = False
    silent.live._moment = 60
    live = silent.after(HUNG_SECONDS + CHECK_SECONDS)
    assert (name_of(live), live.doubts("rf", live.version("rf"))) == (second, [])


def test_the_late_result_of_an_abandoned_check_is_discarded(silent: SilentWorld) -> None:
    silent.after(CHECK_SECONDS)
    hung = silent.live._look
    silent.watched.silent = False
    second = silent.register(2)
    silent.promote(second)
    silent.live._moment = 60
    assert name_of(silent.after(HUNG_SECONDS + CHECK_SECONDS)) == second
    assert hung is not None
    silent.watched.go_on.set()
    assert hung.ended.wait(60)
    assert name_of(silent.after(0)) == second


def test_a_version_that_the_storage_does_not_deliver_is_an_error_in_bounded_time(
    silent: SilentWorld,
) -> None:
    second = silent.register(2)
    with pytest.raises(SourceUnavailableError, match=f"version {second} could not be read within"):
        silent.live.version("rf", second)
    assert silent.live.version("rf", name_of(silent.live))


def test_a_cold_start_without_an_answer_asks_to_try_again(silent: SilentWorld) -> None:
    cold = Live(silent.watched, clock=lambda: silent.now, moment=0.01, cold=0.01)
    cold.refresh()
    with pytest.raises(NothingLiveError, match="could not be read: try again"):
        cold.pair("rf")
    silent.watched.go_on.set()
    cold._cold = 60
    cold.refresh()
    assert cold.pair("rf")[1].name == name_of(silent.live)


def test_a_request_for_a_type_that_is_not_live_waits_for_a_silent_storage_in_bounded_time(
    silent: SilentWorld,
) -> None:
    silent.now += RETRY_SECONDS
    with pytest.raises(NothingLiveError, match="could not be read: try again"):
        silent.live.ask("lstm")
    assert silent.live.ask("rf")[1].name == name_of(silent.live)

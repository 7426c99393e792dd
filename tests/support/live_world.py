"""A store, its changes, and a server that follows its release, with a clock that a test moves."""

from pathlib import Path
from typing import Any

import pytest
from served_store import (
    WatchedStorage,
    register_tiny,
    serve,
    tiny_snapshot,
)

from b3shared.registry.promotion import promote
from b3shared.serving.live import Live
from b3shared.storage import FolderStorage

WHO: dict[str, Any] = {"who": "maria", "why": "reads well"}


class World:
    """A store, its changes, and a server with a clock that only moves by hand."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.now = folder, 1000.0
        self.store = FolderStorage(folder / "store")
        self.watched = WatchedStorage(folder / "store")
        self.live = Live(self.watched, clock=lambda: self.now, moment=60, cold=60)

    def register(self, seed: int, kind: str = "rf", **more: Any) -> str:
        return register_tiny(self.store, self.folder / f"{kind}{seed}", seed, kind, **more)

    def promote(self, version: str, kind: str = "rf") -> None:
        promote(self.store, "models", kind, version, **WHO)

    def serve(self, **changes: Any) -> str:
        return serve(self.store, tiny_snapshot(**changes), self.folder / "snapshot")

    def after(self, seconds: float) -> Live:
        self.now += seconds
        self.live.refresh()
        return self.live

    def spoil(self, kind: str, version: str, name: str = "model.onnx") -> None:
        (self.folder / "store" / "models" / "models" / kind / version / name).write_bytes(
            b"not what was registered"
        )


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


@pytest.fixture
def serving(world: World) -> World:
    """A snapshot and a first version are live, and were looked at just now."""
    world.serve()
    world.promote(world.register(1))
    world.live.refresh()
    return world


def name_of(live: Live, kind: str = "rf") -> str:
    return live.version(kind).name

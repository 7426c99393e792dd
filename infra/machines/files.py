"""Maps each definition file to the module that it is written from."""

from pathlib import Path

from infra.machines import ingest, pipeline
from infra.machines.parts import to_yaml

ROOT = Path(__file__).resolve().parents[2]
FILES = {
    ROOT / "infra" / "pipeline.asl.yaml": pipeline,
    ROOT / "infra" / "ingest.asl.yaml": ingest,
}
"""Definition file -> the module whose ``machine()`` it holds."""


def text_of(path: Path) -> str:
    """Return the text that a definition file must have."""
    module = FILES[path]
    return to_yaml(module.machine(), module.__name__.replace(".", "/") + ".py")

"""Writes the table of the LSTM's parameters into docs/LSTM.md, from their one definition in ``b3shared.params.run``.

``python -m infra.parameter_table`` writes it; ``--check`` only says whether it is up to date.
"""

import json
import sys
from pathlib import Path
from typing import Any

from b3shared.params.lstm import LSTMParams
from b3shared.params.run import flat_schemas

ROOT = Path(__file__).resolve().parents[1]
TARGET = ROOT / "docs" / "LSTM.md"
BEGIN, END = (
    "<!-- parameters: python -m infra.parameter_table -->\n",
    "<!-- end of parameters -->\n",
)

OF_THE_RUN = ("lookback", "horizon", "max_gap", "interval_level")
"""Parameters of the run that its windows depend on; the first two the reference project counts among the network's."""


def table() -> str:
    """The table as Markdown: name, default, what is allowed, what it does."""
    schemas = flat_schemas()
    lines = ["| parameter | default | allowed | what it is |", "|---|---|---|---|"]
    for name in (*OF_THE_RUN, *LSTMParams.model_fields):
        schema = schemas[name]
        default = json.dumps(schema["default"]).strip('"')
        lines.append(f"| `{name}` | {default} | {allowed(schema)} | {schema['description']} |")
    return "\n".join(lines) + "\n"


def allowed(schema: dict[str, Any]) -> str:
    """What a JSON schema lets through, in few words."""
    if "anyOf" in schema:
        return ", ".join(allowed(kind) for kind in schema["anyOf"])
    if "const" in schema:
        return str(schema["const"])
    if "enum" in schema:
        return ", ".join(map(str, schema["enum"]))
    if schema["type"] == "boolean":
        return "true, false"
    low = f"{schema['minimum']} ≤" if "minimum" in schema else f"{schema['exclusiveMinimum']} <"
    high = f"≤ {schema['maximum']}" if "maximum" in schema else f"< {schema['exclusiveMaximum']}"
    return f"{low} {'n' if schema['type'] == 'integer' else 'x'} {high}"


def written(text: str) -> str:
    """The text of the document with the table as it should be."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{table()}\n{END}{after}"


def main() -> int:
    """Write the table, or with ``--check`` say whether it is what it should be."""
    text = TARGET.read_text(encoding="utf-8")
    if BEGIN not in text or END not in text:
        print(f"{TARGET.relative_to(ROOT)} has no place for the table", file=sys.stderr)
        return 1
    if "--check" in sys.argv:
        same = written(text) == text
        word = "up to date" if same else "out of date: run python -m infra.parameter_table"
        print(f"{TARGET.relative_to(ROOT)} is {word}")
        return 0 if same else 1
    TARGET.write_text(written(text), encoding="utf-8")
    print(f"wrote {TARGET.relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

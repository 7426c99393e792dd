"""Writes the table of the LSTM's parameters into docs/LSTM.md, from :mod:`b3shared.params`.

``python -m infra.parameter_table`` writes it; ``--check`` only says whether it is up to date.
"""

import json
import sys
from pathlib import Path

from b3shared.cli.parameters import allowed
from b3shared.params.lstm import LSTMParams
from b3shared.params.run import flat_schemas

ROOT = Path(__file__).resolve().parents[1]
TARGET = ROOT / "docs" / "LSTM.md"
BEGIN = "<!-- parameters: python -m infra.parameter_table -->\n"
END = "<!-- end of parameters -->\n"

RUN_PARAMETERS = ("lookback", "horizon", "max_gap", "interval_level")
"""Parameters of the run that the network's windows, labels and intervals depend on."""


def table() -> str:
    """Return the table as Markdown: name, default, accepted values, description."""
    schemas = flat_schemas()
    lines = ["| parameter | default | allowed | what it is |", "|---|---|---|---|"]
    for name in (*RUN_PARAMETERS, *LSTMParams.model_fields):
        schema = schemas[name]
        default = json.dumps(schema["default"]).strip('"')
        accepted = allowed(schema).replace("<=", "≤")
        lines.append(f"| `{name}` | {default} | {accepted} | {schema['description']} |")
    return "\n".join(lines) + "\n"


def written(text: str) -> str:
    """Return the text of the document with an up-to-date table."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{table()}\n{END}{after}"


def main() -> int:
    """Write the table, or with ``--check`` say whether it is up to date; return the exit status."""
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

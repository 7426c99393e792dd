"""The few pieces of HTML that the report is made of. Every string that comes in as data is escaped here."""

from base64 import b64encode
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

STYLE = """
:root{color-scheme:light dark;--ink:#1d2126;--soft:#59636e;--line:#d7dde3;
--back:#ffffff;--panel:#f4f6f8;--accent:#0072b2;--warn:#b34700}
@media (prefers-color-scheme:dark){:root{--ink:#e6e9ec;--soft:#9aa5b1;--line:#39424c;
--back:#14181d;--panel:#1d232a;--accent:#5db4e8;--warn:#ff9e57}}
*{box-sizing:border-box}
body{margin:0 auto;max-width:70rem;padding:1.5rem;font:16px/1.5 system-ui,sans-serif;color:var(--ink);background:var(--back)}
h1{font-size:1.5rem;margin:0 0 .25rem}h2{font-size:1.15rem;margin:2.25rem 0 .5rem}
p,li{max-width:52rem}.soft{color:var(--soft);font-size:.88rem}
.headline{background:var(--panel);border-left:5px solid var(--accent);padding:.8rem 1rem;margin:1rem 0;font-size:1.06rem}
.warning{background:var(--panel);border-left:5px solid var(--warn);padding:.5rem 1rem;margin:.5rem 0}
.wide{overflow-x:auto}
table{border-collapse:collapse;font-size:.86rem;font-variant-numeric:tabular-nums;margin:.2rem 0 .4rem}
.title{margin:1rem 0 0}
th,td{padding:.28rem .6rem;border-bottom:1px solid var(--line);text-align:right;vertical-align:top;white-space:nowrap}
th:first-child,.words{text-align:left}.words{display:block}
th:first-child{position:sticky;left:0;background:var(--back)}
tbody th{font-weight:400}
thead th{border-bottom:2px solid var(--soft);white-space:normal;vertical-align:bottom}
tbody tr.ours>*{background:var(--panel);font-weight:600}
small{color:var(--soft);font-weight:400;display:block}
figure{margin:1.5rem 0 2rem}img{display:block;max-width:100%;height:auto;background:#fff;border-radius:4px;padding:.5rem}
figcaption{color:var(--soft);font-size:.88rem;margin-top:.3rem}
details{margin:1rem 0}summary{cursor:pointer;color:var(--accent)}
dl{display:grid;grid-template-columns:max-content 1fr;gap:.1rem 1rem;font-size:.88rem}
dt{color:var(--soft)}dd{margin:0;overflow-wrap:anywhere;max-width:46rem}
@media (max-width:40rem){body{padding:1rem}dl{grid-template-columns:1fr}dd{margin-bottom:.4rem}}
"""


class Html(str):
    """Text that is HTML already and must not be escaped again."""

    __slots__ = ()


def text(value: object) -> Html:
    """Escape a value, unless it is HTML already."""
    return value if isinstance(value, Html) else Html(escape(str(value)))


def words(value: object) -> Html:
    """A cell of words in a table of figures: aligned to the left."""
    return Html(f'<span class="words">{text(value)}</span>')


def number(value: float | None, form: str, scale: float = 1.0) -> str:
    """Format a figure, never as -0; a dash where it is not defined."""
    return "–" if value is None else format(scale * value, form.replace(".", "z.", 1))


def with_interval(found: Mapping[str, Any] | None, form: str, scale: float = 1.0) -> Html:
    """The estimate, and its 95 % interval below it."""
    if found is None or found["estimate"] is None:
        return Html("–")
    low, high = found["ci95"]
    bounds = f"<small>{number(low, form, scale)} to {number(high, form, scale)}</small>" if low is not None else ""
    return Html(number(found["estimate"], form, scale) + bounds)


def table(
    header: Sequence[object], rows: Iterable[Sequence[object]], caption: str = "", ours: Sequence[str] = ("model",)
) -> Html:
    """A table whose first column names the row; rows named in ``ours`` are set off.

    The caption stands outside of what scrolls sideways on a narrow screen.
    """
    head = "".join(f'<th scope="col">{text(cell)}</th>' for cell in header)
    body = "".join(_row(row, str(row[0]) in ours) for row in rows)
    title = paragraph(caption, "soft title") if caption else ""
    label = f' aria-label="{text(caption)}"' if caption else ""
    return Html(f'{title}<div class="wide"><table{label}><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>')


def _row(cells: Sequence[object], ours: bool) -> str:
    name, *others = cells
    inside = f'<th scope="row">{text(name)}</th>' + "".join(f"<td>{text(cell)}</td>" for cell in others)
    return f'<tr class="ours">{inside}</tr>' if ours else f"<tr>{inside}</tr>"


def definitions(items: Mapping[str, object]) -> Html:
    """Name and value, one per line."""
    return Html("<dl>" + "".join(f"<dt>{text(k)}</dt><dd>{text(v)}</dd>" for k, v in items.items()) + "</dl>")


def picture(image: bytes, caption: str) -> Html:
    """A PNG inside the page."""
    source = b64encode(image).decode()
    return Html(
        f'<figure><img alt="{text(caption)}" src="data:image/png;base64,{source}">'
        f"<figcaption>{text(caption)}</figcaption></figure>"
    )


def folded(title: str, content: Html) -> Html:
    """Content that opens when its title is clicked."""
    return Html(f"<details><summary>{text(title)}</summary>{content}</details>")


def section(title: str, *content: Html) -> Html:
    """A heading and what belongs under it; nothing at all when there is nothing."""
    return Html(f"<h2>{text(title)}</h2>" + "".join(content)) if any(content) else Html("")


def paragraph(value: object, kind: str = "") -> Html:
    """A paragraph, of a class of the style sheet."""
    return Html(f'<p class="{text(kind)}">{text(value)}</p>' if kind else f"<p>{text(value)}</p>")


def page(title: str, *content: Html) -> str:
    """The whole document: one file, no script, nothing loaded from elsewhere."""
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{text(title)}</title><style>{STYLE}</style></head><body>{''.join(content)}</body></html>\n"
    )

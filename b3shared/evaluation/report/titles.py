"""Names of baselines, metrics and strategies as a person reads them."""

TITLES = {
    "yesterdays label": "yesterday's label",
    "rank ic": "rank IC",
    "macro f1": "macro F1",
    "over prior": "over class prior",
    "return mae": "return MAE",
    "price mape": "price MAPE",
}
"""Parts of the metrics' keys -> how they are written."""


def title_of(name: str) -> str:
    """Write a key of the metrics in words, such as "yesterday's label" for "yesterdays_label"."""
    title = name.replace("_", " ")
    for plain, written in TITLES.items():
        title = title.replace(plain, written)
    return title

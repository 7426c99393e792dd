"""The API's description and its page, which load nothing from outside.

Both are made at build time or come with Powertools.
"""

from functools import cache
from importlib.resources import files
from pathlib import Path
from string import Template

FOLDER = Path(__file__).parent
SPEC = FOLDER / "openapi.json"
"""Made by ``python -m infra.openapi`` from the code of both API functions."""


@cache
def spec() -> str:
    """Return the OpenAPI 3.1 document of the whole API as JSON, which is YAML too."""
    return SPEC.read_text(encoding="utf-8")


@cache
def page() -> str:
    """Return Swagger UI in one page; it asks before it sends what starts or changes something."""
    assets = files("aws_lambda_powertools.event_handler.openapi") / "swagger_ui"
    return Template((FOLDER / "page.html").read_text(encoding="utf-8")).substitute(
        style=(assets / "swagger-ui.min.css").read_text(encoding="utf-8"),
        bundle=(assets / "swagger-ui-bundle.min.js").read_text(encoding="utf-8"),
        confirm=(FOLDER / "confirm.js").read_text(encoding="utf-8"),
        spec=spec().replace("</", "<\\/"),
    )

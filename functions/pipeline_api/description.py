"""The API's description and its page. Both are made at build time or come with Powertools: no address outside is loaded."""

from functools import cache
from importlib.resources import files
from pathlib import Path
from string import Template

FOLDER = Path(__file__).parent
SPEC = FOLDER / "openapi.json"
"""Made by ``python -m infra.openapi`` from the code of both API functions."""


@cache
def spec() -> str:
    """OpenAPI 3.1 of the whole API as JSON, which is YAML too."""
    return SPEC.read_text(encoding="utf-8")


@cache
def page() -> str:
    """Swagger UI with everything inside; it asks before it sends what starts or changes something."""
    assets = files("aws_lambda_powertools.event_handler.openapi") / "swagger_ui"
    return Template((FOLDER / "page.html").read_text(encoding="utf-8")).substitute(
        style=(assets / "swagger-ui.min.css").read_text(encoding="utf-8"),
        bundle=(assets / "swagger-ui-bundle.min.js").read_text(encoding="utf-8"),
        confirm=(FOLDER / "confirm.js").read_text(encoding="utf-8"),
        spec=spec().replace("</", "<\\/"),
    )

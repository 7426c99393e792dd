"""The API's description and its page. Both are made at build time or come with Powertools: no address outside is loaded."""

from functools import cache
from importlib.resources import files
from pathlib import Path

from aws_lambda_powertools.event_handler.openapi.swagger_ui import generate_swagger_html

SPEC = Path(__file__).parent / "openapi.json"
"""Made by ``python -m infra.openapi`` from the code of both API functions."""


@cache
def spec() -> str:
    """OpenAPI 3.1 of the whole API as JSON, which is YAML too."""
    return SPEC.read_text(encoding="utf-8")


@cache
def page() -> str:
    """Swagger UI with everything inside."""
    assets = files("aws_lambda_powertools.event_handler.openapi") / "swagger_ui"
    script, style = (
        (assets / name).read_text(encoding="utf-8") for name in ("swagger-ui-bundle.min.js", "swagger-ui.min.css")
    )
    return generate_swagger_html(spec().replace("</", "<\\/"), script, style, "", None)

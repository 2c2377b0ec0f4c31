"""`/openapi.json`: what is served here, as OpenAPI 3.1. A test walks every route and every documented status."""

from importlib.resources import files

from signer.api.answer import Answer, json_answer
from signer.api.exchange import Exchange
from signer.api.routing import Access, Route

DOCUMENT = files("signer.api").joinpath("openapi.json").read_bytes()


async def get_openapi(_exchange: Exchange) -> Answer:
    """The document, as it was checked in."""
    return json_answer(200, DOCUMENT)


ROUTES = [
    Route("GET", "/openapi.json", get_openapi, Access.OPEN),
]

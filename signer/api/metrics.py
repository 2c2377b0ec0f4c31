"""`/metrics`, on a port of its own with an allow-list of its own, as Web3Signer has it."""

from signer.api.answer import Answer, status_head
from signer.api.exchange import Exchange
from signer.api.routing import Access, Route

PROMETHEUS_TEXT = "text/plain; version=0.0.4; charset=utf-8"


async def get_metrics(exchange: Exchange) -> Answer:
    """Prometheus' text format 0.0.4."""
    page = await exchange.services.metrics_page()
    return Answer(200, status_head(200, PROMETHEUS_TEXT), page)


ROUTES = [
    Route("GET", "/metrics", get_metrics, Access.OPEN),
]

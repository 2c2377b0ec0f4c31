"""The JSON schemas of what policies read and write, as published in `policies/`."""

import json
from typing import Any

from msgspec import json as fast_json

from signer.policy.facts import Facts
from signer.policy.verdict import WireVerdict

FACTS_SCHEMA = "facts.schema.json"
VERDICT_SCHEMA = "verdict.schema.json"

_DIALECT = "https://json-schema.org/draft/2020-12/schema"


def render_schemas() -> dict[str, str]:
    """The published files: name and text."""
    return {
        FACTS_SCHEMA: _rendered("Facts: what a Holdfast policy reads, version 1", Facts),
        VERDICT_SCHEMA: _rendered("Verdict: what a Holdfast policy answers, version 1", WireVerdict),
    }


def _rendered(title: str, described: Any) -> str:
    schema = {"$schema": _DIALECT, "title": title, **fast_json.schema(described)}
    # Python's end of a text; in the schemas' dialect of patterns (ECMA-262) a dollar sign is no more than that.
    return json.dumps(_named_for_outsiders(schema), indent=2).replace("\\\\Z", "$") + "\n"


def _named_for_outsiders(schema: Any) -> Any:
    """The names of our classes for JSON's shapes say nothing to a reader of the schema."""
    text = json.dumps(schema)
    for name in ("Allow", "Deny", "RequireApproval", "Reservation"):
        text = text.replace(f"Wire{name}", name)
    return json.loads(text)

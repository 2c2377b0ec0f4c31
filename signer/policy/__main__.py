"""`python -m signer.policy`: writes the published JSON schemas of facts and verdicts."""

import sys
from pathlib import Path

from signer.policy.schemas import render_schemas

POLICIES = Path("policies")


def main() -> None:
    """Write them below the working directory, the root of the source tree."""
    if not POLICIES.is_dir():
        sys.exit(f"no {POLICIES} here: run it in the root of the source tree")
    for name, text in render_schemas().items():
        (POLICIES / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()

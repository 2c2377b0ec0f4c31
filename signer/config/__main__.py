"""`python -m signer.config`: writes what is made from the sections: the example file and parts of the manual."""

import sys
from pathlib import Path

from signer.config.reference import render_example, render_manual

EXAMPLE = Path("config/holdfast.example.yaml")
MANUAL = Path("docs/configuration.md")


def main() -> None:
    """Write both files below the working directory, the root of the source tree."""
    if not MANUAL.is_file():
        sys.exit(f"no {MANUAL} here: run it in the root of the source tree")
    EXAMPLE.write_text(render_example(), encoding="utf-8")
    MANUAL.write_text(render_manual(MANUAL.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()

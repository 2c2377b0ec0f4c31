"""The program: `holdfast`, or `python -m signer`."""

import os
import sys

from signer.app import App
from signer.cli.main import run


def main() -> None:
    """Run the command line and end the process with its exit code."""
    sys.exit(run(App(), sys.argv[1:], environ=os.environ))


if __name__ == "__main__":
    main()

"""The program: `holdfast`, or `python -m signer`."""

import os
import sys

from signer.cli.host import Host
from signer.cli.main import run


def main() -> None:
    """Run the command line and end the process with its exit code."""
    sys.exit(run(_host, sys.argv[1:], environ=os.environ))


def _host() -> Host:
    # Imported when it is needed: a command that only asks a running server starts in half the time.
    from signer.app import App

    return App()


if __name__ == "__main__":
    main()

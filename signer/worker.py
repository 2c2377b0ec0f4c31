"""A worker process: `python -m signer.worker LINK LISTENING...`, with inherited sockets. The main process runs it."""

import sys

from signer.errors import StartupError
from signer.relay.birth import bind_to_parent


def main() -> None:
    """Be a worker until the main process says stop, or is gone."""
    bind_to_parent()  # first of all: what follows takes a second
    from signer.app import App

    link, *listening = (int(word) for word in sys.argv[1:])
    try:
        sys.exit(App().work(link, listening))
    except StartupError as error:  # before there is a log: stderr is the main process's
        sys.exit(error.sentence)


if __name__ == "__main__":
    main()

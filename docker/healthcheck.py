"""Ask the signer's admin socket for one of its probes: `healthcheck.py [live|ready|startup] [SOCKET]`.

Standard library alone, so that it starts in milliseconds; the admin socket, so that it needs no port, no certificate
and no password. Exit 0 when the probe answers 200.
"""

import socket
import sys


def status(path: str, probe: str) -> int:
    """The HTTP status of a probe. Raises OSError when nobody listens."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(4)
        connection.connect(path)
        connection.sendall(f"GET /health/{probe} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
        return int(connection.makefile("rb").readline().split()[1])


def main(arguments: list[str]) -> int:
    """0 when healthy, 1 when not, with a sentence."""
    probe = arguments[0] if arguments else "ready"
    path = arguments[1] if len(arguments) > 1 else "/var/lib/holdfast/admin.sock"
    try:
        answer = status(path, probe)
    except (OSError, IndexError, ValueError) as error:
        print(f"{path} does not answer: {error}")
        return 1
    print(f"/health/{probe}: {answer}")
    return 0 if answer == 200 else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

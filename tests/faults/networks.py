"""Two networks of their own, joined by one cable: a signer in the one, the way to its database in the other.

Nothing of the machine's own network is touched. Pulling the cable is what a broken switch does: nothing is refused and
nothing is reset, packets are gone.
"""

import ctypes
import os
import shutil
import socket
import subprocess
import threading
from contextlib import suppress

import pytest

DATABASE_SIDE, SIGNER_SIDE = "192.0.2.1", "192.0.2.2"
"""RFC 5737 section 3: addresses for documentation, which no real network has."""

_NEW_NETWORK = 0x40000000
"""CLONE_NEWNET, see setns(2)."""


class Network:
    """One network namespace; it is gone once its holder and everything in it has ended."""

    def __init__(self) -> None:
        self._holder = subprocess.Popen(
            ["unshare", "--net", "sh", "-c", "echo; exec cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        assert self._holder.stdout is not None
        if not self._holder.stdout.readline():
            pytest.skip("network namespaces may not be made here (CAP_SYS_ADMIN is needed)")
        self.process_id = self._holder.pid

    def inside(self, *command: str) -> list[str]:
        """A command line that runs in this network."""
        return ["nsenter", f"--net=/proc/{self.process_id}/ns/net", *command]

    def ip(self, *words: str) -> None:
        subprocess.run(self.inside(_ip(), *words), check=True)

    def listener(self, address: str) -> socket.socket:
        """A socket that listens here, for this process: only one thread of it steps inside, to make the socket."""
        made: list[socket.socket] = []

        def step_inside() -> None:
            with open(f"/proc/{self.process_id}/ns/net", "rb") as network:
                if ctypes.CDLL(None, use_errno=True).setns(network.fileno(), _NEW_NETWORK) == 0:
                    made.append(socket.create_server((address, 0)))

        thread = threading.Thread(target=step_inside)
        thread.start()
        thread.join()
        return made[0]

    def close(self) -> None:
        with suppress(OSError):
            self._holder.communicate()


class Cable:
    """Joins two networks; `pull` it and `plug` it in again."""

    def __init__(self, near: Network, far: Network) -> None:
        self._near = near
        near.ip("link", "add", "near", "type", "veth", "peer", "name", "far", "netns", str(far.process_id))
        for network, end, address in ((near, "near", DATABASE_SIDE), (far, "far", SIGNER_SIDE)):
            network.ip("address", "add", f"{address}/30", "dev", end)
            network.ip("link", "set", "lo", "up")
            network.ip("link", "set", end, "up")

    def pull(self) -> None:
        self._near.ip("link", "set", "near", "down")

    def plug(self) -> None:
        self._near.ip("link", "set", "near", "up")


def _ip() -> str:
    found = shutil.which("ip", path=f"{os.environ['PATH']}:/usr/sbin:/sbin")
    if found is None:
        pytest.skip("the program `ip` is not installed (Debian: apt-get install iproute2)")
    return found

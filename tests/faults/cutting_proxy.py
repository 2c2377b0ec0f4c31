"""A small proxy between a signer and its database: it adds latency, swallows answers, or cuts."""

import queue
import socket
import threading
import time
from collections.abc import Callable, Iterator


class CuttingProxy:
    """Forwards one port to another. Owned by a test; `close` it."""

    def __init__(self, port: int, *, listener: socket.socket | None = None) -> None:
        """To `port` on loopback, from `listener`, which may be in another network."""
        self._port = port
        self._listener = listener or socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self.delay_seconds = 0.0
        """Added to each piece in each direction."""

        self.cut_at: bytes | None = None
        """What is asked with this in it is the last thing that is answered, see `deliver`."""

        self.deliver = True
        """Whether the server still gets it: True loses the answer alone, False the question too."""

        self.cuts = 0
        self._refuse = False
        self._pairs: list[tuple[socket.socket, socket.socket]] = []
        self._threads: list[threading.Thread] = []
        self._begin(self._accept)

    def refuse(self, *, yes: bool) -> None:
        """As a cut network: what is open is dropped, and nothing new gets through."""
        self._refuse = yes
        if yes:
            for pair in self._pairs:
                self._drop(*pair)

    def close(self) -> None:
        self._refuse = True
        self._listener.shutdown(socket.SHUT_RDWR)  # whoever accepts there hears of it
        accepting, *_ = self._threads
        accepting.join()  # from now on there are no new pairs
        self.refuse(yes=True)
        for thread in self._threads:
            thread.join()
        self._listener.close()
        for pair in self._pairs:
            for one in pair:
                one.close()

    def _begin(self, work: Callable[..., None], *arguments: socket.socket) -> None:
        thread = threading.Thread(target=work, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            if self._refuse:
                client.close()
                continue
            try:
                server = socket.create_connection(("127.0.0.1", self._port))
            except OSError:
                client.close()
                continue
            for one in (client, server):
                one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._pairs.append((client, server))
            self._begin(self._ask, client, server)
            self._begin(self._answer, server, client)

    def _ask(self, client: socket.socket, server: socket.socket) -> None:
        for piece in self._delayed(client):
            try:
                if self.cut_at is not None and self.cut_at in piece:
                    self.cut_at = None
                    self.cuts += 1
                    client.shutdown(socket.SHUT_RDWR)
                    if self.deliver:
                        server.sendall(piece)
                        server.recv(1 << 20)  # the server has done it; nobody hears of it
                    break
                server.sendall(piece)
            except OSError:
                break
        self._drop(client, server)

    def _answer(self, server: socket.socket, client: socket.socket) -> None:
        for piece in self._delayed(server):
            try:
                client.sendall(piece)
            except OSError:
                break
        self._drop(client, server)

    def _delayed(self, source: socket.socket) -> Iterator[bytes]:
        """What comes, each piece so much later: a long line, not a narrow one."""
        pieces: queue.SimpleQueue[tuple[float, bytes]] = queue.SimpleQueue()

        def read() -> None:
            piece = b"-"
            while piece:
                try:
                    piece = source.recv(1 << 20)
                except OSError:
                    piece = b""
                pieces.put((time.monotonic() + self.delay_seconds, piece))

        self._begin(read)
        while True:
            due, piece = pieces.get()
            time.sleep(max(0.0, due - time.monotonic()))
            if not piece:
                return
            yield piece

    def _drop(self, client: socket.socket, server: socket.socket) -> None:
        for one in (client, server):
            try:
                one.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue

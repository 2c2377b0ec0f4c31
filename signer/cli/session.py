"""One command's view of the world: its global options, the configuration they lead to, and the signer that answers."""

import asyncio
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

from signer.cli.connection import Connection, Endpoint, endpoint_connection, is_answered, socket_connection
from signer.cli.global_options import GlobalOptions
from signer.cli.host import Host
from signer.cli.local_service import LocalService
from signer.cli.output import Output
from signer.cli.problem import UsageFault
from signer.cli.remote_service import RemoteService
from signer.cli.service import Service
from signer.config.load import load_config
from signer.config.sections import Config
from signer.crypto.secret import Secret
from signer.durable import read_private

TOKEN_LIMIT_BYTES = 4096
"""The largest token file read."""


class Session:
    """Owned by one command, for as long as it runs."""

    def __init__(
        self, *, find_host: Callable[[], Host], options: GlobalOptions, output: Output, environ: Mapping[str, str]
    ) -> None:
        self._find_host = find_host
        self.options = options
        self.output = output
        self.environ = environ

    @cached_property
    def host(self) -> Host:
        """The program, for what this process must do itself."""
        return self._find_host()

    def load_config(self, *, files_must_exist: bool = True) -> Config:
        """The configuration these options lead to.

        Raises:
            ConfigError, UsageFault.
        """
        return self.load_config_from(self.options.config, files_must_exist=files_must_exist)

    def load_config_from(
        self, file: Path | None, *, files_must_exist: bool = True, unless_said: Mapping[str, Any] | None = None
    ) -> Config:
        """The same, as if --config had named this file and the line had set `unless_said` too. Raises as above."""
        return load_config(
            file,
            environ=self.environ,
            flags={**(unless_said or {}), **self.flags()},
            preset=self.options.preset,
            files_must_exist=files_must_exist,
        )

    def flags(self) -> dict[str, str]:
        """The configuration keys that the command line sets. Raises UsageFault."""
        flags = dict(_split_setting(text) for text in self.options.settings)
        if self.options.data_directory is not None:
            flags["storage.data_directory"] = str(self.options.data_directory)
        return flags

    @contextmanager
    def service(self, *, load_keys: bool = False) -> Iterator[Service]:
        """The signer that answers: the endpoint, else the running server of the data directory, else this process.

        Raises:
            ConfigError, UsageFault, StartupError, UnreachableError.
        """
        server = self.find_server()
        if server is not None:
            yield server
            return
        config = self.load_config()
        with asyncio.Runner() as runner:
            opened = self.host.open_offline(config, load_keys=load_keys)
            operations = runner.run(opened.__aenter__())  # entered on the loop that its calls will run on
            try:
                yield LocalService(operations, runner, data_directory=config.storage.data_directory)
            finally:
                runner.run(opened.__aexit__(None, None, None))

    def find_server(self) -> RemoteService | None:
        """The server at the endpoint or behind the admin socket; None where the socket is silent and none was named."""
        connection = self.find_connection()
        return None if connection is None else RemoteService(connection)

    def find_connection(self) -> Connection | None:
        """The way to that server."""
        if self.options.endpoint is not None:
            return self._endpoint(self.options.endpoint)
        self._refuse_credentials()
        socket = self.load_config(files_must_exist=False).server.admin_socket
        return socket_connection(socket) if is_answered(socket) else None

    def _endpoint(self, url: str) -> Connection:
        options = self.options
        if (options.client_key is None) is not (options.client_certificate is None):
            raise UsageFault("a client certificate needs its key", remedy="give --client-certificate and --client-key")
        token = _read_token(options.token_file) if options.token_file else None
        endpoint = Endpoint(url, token, options.client_certificate, options.client_key, options.ca)
        try:
            return endpoint_connection(endpoint)
        except ValueError as error:
            raise UsageFault(str(error), remedy="see `holdfast --help`") from error
        except OSError as error:
            raise UsageFault(
                f"the certificate, key or CA file cannot be used: {error.strerror or error}",
                remedy="they are PEM files: see `holdfast tls init --help`",
            ) from error

    def _refuse_credentials(self) -> None:
        given = {
            "--token-file": self.options.token_file,
            "--client-certificate": self.options.client_certificate,
            "--client-key": self.options.client_key,
            "--ca": self.options.ca,
        }
        for name, value in given.items():
            if value is not None:
                raise UsageFault(
                    f"{name} says how to reach an endpoint, and none is named",
                    remedy="add --endpoint https://HOST:PORT, or leave it out to use the admin socket",
                )


def _split_setting(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not equals or not key:
        raise UsageFault(f"--set {text} sets nothing", remedy="write --set SECTION.KEY=VALUE")
    return key, value


def _read_token(file: Path) -> Secret:
    lines = read_private(file, limit_bytes=TOKEN_LIMIT_BYTES).splitlines()
    if not lines or not lines[0].strip().isascii() or not lines[0].strip():
        raise UsageFault(f"{file} holds no token", remedy="write the token into its first line")
    return Secret(lines[0].strip())

"""The `server` section: the listener, its limits and its TLS."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from signer.config.setting import about


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsSettings:
    """Server certificate and who may connect."""

    certificate_file: Path | None = field(
        default=None,
        metadata=about(
            "The server's certificate chain as PEM, leaf first. Goes with `key_file`; excludes `pkcs12_file`.",
            must_exist="file",
        ),
    )
    key_file: Path | None = field(
        default=None, metadata=about("The certificate's private key as PEM.", must_exist="file", private_file=True)
    )
    pkcs12_file: Path | None = field(
        default=None,
        metadata=about(
            "Certificate and key in one PKCS#12 file: what Web3Signer's `--tls-keystore-file` takes.",
            must_exist="file",
            private_file=True,
        ),
    )
    password_file: Path | None = field(
        default=None,
        metadata=about(
            "The password of `pkcs12_file`, or of an encrypted `key_file`: the first line, as Web3Signer reads it.",
            must_exist="file",
            private_file=True,
        ),
    )
    client_ca_file: Path | None = field(
        default=None,
        metadata=about(
            "PEM certificates of the authorities whose client certificates may connect. Demands a client certificate.",
            must_exist="file",
        ),
    )
    known_clients_file: Path | None = field(
        default=None,
        metadata=about(
            "Web3Signer's known-clients file: a line `<common name> <SHA-256 fingerprint>` for each client certificate "
            "that may connect, self-signed ones included. Demands a client certificate.",
            must_exist="file",
        ),
    )
    allow_any_client: bool = field(
        default=False,
        metadata=about(
            "Encrypts without asking who connects. It must be said in so many words, as in Web3Signer: TLS without a "
            "client policy is an error."
        ),
    )
    minimum_version: Literal["1.2", "1.3"] = field(
        default="1.2", metadata=about("The oldest TLS version taken. Teku's client speaks no newer one than 1.2.")
    )

    @property
    def enabled(self) -> bool:
        """True when the server has a certificate."""
        return self.certificate_file is not None or self.pkcs12_file is not None

    @property
    def demands_client_certificate(self) -> bool:
        """True when nobody connects without a certificate that we accept."""
        return self.enabled and (self.client_ca_file is not None or self.known_clients_file is not None)


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerSettings:
    """The HTTP listener."""

    host: str = field(
        default="127.0.0.1",
        metadata=about(
            "The address to listen on. Loopback, because anyone who reaches an open port could ask for signatures.",
            pattern=r"\S+",
            pattern_text="an address or a host name",
        ),
    )
    port: int = field(
        default=9000,
        metadata=about(
            "Web3Signer's port, so that clients need no change. 0 takes a free one.", minimum=0, maximum=65535
        ),
    )
    admin_socket: Path = field(
        default=Path("admin.sock"),
        metadata=about(
            "The owner-only socket through which `holdfast` commands reach the running server. At most 107 bytes "
            "long, a limit of Unix sockets.",
            in_data_directory=True,
        ),
    )
    workers: int = field(
        default=1,
        metadata=about(
            "Processes that serve requests. 1: the main process alone, the simplest thing that works. More share "
            "the main process's journal.",
            unit="processes",
            minimum=1,
            maximum=64,
        ),
    )
    signing_threads: int | None = field(
        default=None,
        metadata=about(
            "Threads that compute signatures, in each process. Two for each core: one waits for the interpreter's lock "
            "while the other computes (a fifth more signatures, measured).",
            unit="threads",
            default_text="two for each core, shared out among the workers",
            minimum=1,
            maximum=256,
        ),
    )
    allowed_hosts: tuple[str, ...] = field(
        default=("localhost", "127.0.0.1"),
        metadata=about(
            "Names a request's `Host` may carry, without port; `*` takes any. A web page that rebinds its name to our "
            "address is refused by this. Web3Signer's default: add the name by which containers call us."
        ),
    )
    cors_origins: tuple[str, ...] = field(
        default=(),
        metadata=about(
            "Regular expressions of web origins that may call from a browser. None: no validator client is a web page."
        ),
    )
    keep_alive_seconds: int = field(
        default=180,
        metadata=about(
            "How long an idle connection stays open. Go's clients keep theirs for 90 seconds, and a server that hangs "
            "up first resets a duty on its way; so less than 120 is refused.",
            unit="seconds",
            minimum=120,
            maximum=86400,
        ),
    )
    max_connections: int = field(
        default=4096,
        metadata=about(
            "Connections open at once, unfinished TLS handshakes included, in each process that serves. For one more, "
            "the one that has waited longest without a request is closed. Prysm opens one for each attestation of a "
            "burst.",
            unit="connections",
            minimum=16,
            maximum=1_000_000,
        ),
    )
    backlog: int = field(
        default=1024,
        metadata=about(
            "Connections the kernel holds until we accept them: clients open hundreds at the start of a slot.",
            unit="connections",
            minimum=16,
            maximum=65535,
        ),
    )
    max_sign_body_bytes: int = field(
        default=16 * 2**20,
        metadata=about(
            "The largest body a sign route reads: full Altair blocks, Gloas envelopes and batches are large.",
            unit="bytes",
            minimum=65536,
            maximum=2**30,
        ),
    )
    max_body_bytes: int = field(
        default=64 * 2**10,
        metadata=about(
            "The largest body any other route reads: they need little, and memory is the cheapest thing to attack.",
            unit="bytes",
            minimum=1024,
            maximum=2**30,
        ),
    )
    max_import_body_bytes: int = field(
        default=2**30,
        metadata=about(
            "The largest slashing-protection file that is imported; it goes to the disk, not into memory.",
            unit="bytes",
            minimum=65536,
            maximum=2**40,
        ),
    )
    body_timeout_seconds: float = field(
        default=30.0,
        metadata=about(
            "How long a whole body may take to arrive: who sends a byte a minute holds no connection for long.",
            unit="seconds",
            minimum=1,
            maximum=3600,
        ),
    )
    request_deadline_seconds: float = field(
        default=2.5,
        metadata=about(
            "When a duty is not answered by then, it is answered with an error: Nimbus gives up after 3 seconds, and a "
            "signature nobody waits for helps nobody.",
            unit="seconds",
            minimum=0.1,
            maximum=60,
        ),
    )
    shutdown_grace_seconds: float = field(
        default=5.0,
        metadata=about(
            "How long requests under way may finish after the order to stop.", unit="seconds", minimum=0, maximum=300
        ),
    )
    admin_over_network: bool = field(
        default=False,
        metadata=about(
            "Serves the routes of `holdfast` commands to named principals on this listener too. Off: the admin socket "
            "is enough for commands on this machine."
        ),
    )
    access_log: bool = field(
        default=False,
        metadata=about("A log line for every request. Off: at 300 requests a slot it buries the lines that matter."),
    )
    tls: TlsSettings = field(
        default_factory=TlsSettings, metadata=about("TLS of the listener: off until it has a certificate.")
    )

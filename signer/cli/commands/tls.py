"""`holdfast tls init` and `tls client`: certificates for a house without an authority of its own."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from signer.cli.certificates import (
    Authority,
    Identity,
    client_bundle,
    client_identity,
    create_authority,
    known_clients_line,
    load_authority,
    pem_certificate,
    pem_key,
    server_identity,
    trust_store,
)
from signer.cli.commands.context import session_of
from signer.cli.problem import UsageFault
from signer.cli.session import Session
from signer.crypto.secret import Secret
from signer.durable import ensure_private_directory, write_durably
from signer.operations.set_up import Step, check_owner, ensure_file, ensure_token

STANDARD_HOSTS = ("localhost", "127.0.0.1", "::1")
"""Names and addresses that every server certificate of ours is good for."""


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(help="TLS certificates.", no_args_is_help=True)
    group.command("init")(init)
    group.command("client")(client_)
    app.add_typer(group, name="tls")


def init(
    context: typer.Context,
    directory: Annotated[Path, typer.Argument(help="Where to write them; made if it is not there.")],
    *,
    host: Annotated[
        list[str] | None,
        typer.Option(help="A further name or address by which clients call the signer. Can be repeated."),
    ] = None,
    client: Annotated[
        list[str] | None,
        typer.Option(help="The name of a client to make a certificate for; `validator` if none. Can be repeated."),
    ] = None,
    days: Annotated[int, typer.Option(min=1, max=3650, help="How long the certificates are good for.")] = 397,
) -> None:
    """Make an authority (CA), a server certificate and client certificates, and say what goes where.

    For development, or for a house without an authority of its own. Nothing that is there is overwritten.
    Keep `ca.key` away from the signer: whoever has it can make client certificates.

    For example:

    - `holdfast tls init tls/ --host signer.lan --client teku --client lighthouse`

    A client that comes later: `holdfast tls client NAME tls/`.
    """
    session = session_of(context)
    if (directory / "ca.pem").exists():
        raise UsageFault(
            f"{directory} holds an authority already, and nothing is overwritten",
            remedy="name another directory, or move this one away",
        )
    hosts, clients = (*STANDARD_HOSTS, *(host or ())), tuple(client or ("validator",))
    now = datetime.now(UTC)
    try:
        authority = create_authority(now=now, days=days)
        server = server_identity(authority, hosts=hosts, now=now, days=days)
        identities = {name: client_identity(authority, name=name, now=now, days=days) for name in clients}
    except ValueError as error:
        raise UsageFault(str(error), remedy="see `holdfast tls init --help`") from error
    ensure_private_directory(directory)
    steps = _write(directory.absolute(), authority, server, identities)
    session.output.document({"files": [{"what": step.what, "path": str(step.path)} for step in steps]})
    session.output.table(("what", "where"), [(step.what, str(step.path)) for step in steps])
    _tell(session, directory.absolute(), clients, host=(host or ["localhost"])[0])


def client_(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="The client's name: its certificate's common name.")],
    directory: Annotated[Path, typer.Argument(help="Where `tls init` wrote the authority.")],
    *,
    days: Annotated[int, typer.Option(min=1, max=3650, help="How long the certificate is good for.")] = 397,
) -> None:
    """Make one more client certificate with the authority of `tls init`, and list it among the known clients.

    For example:

    - `holdfast tls client lodestar-proxy tls/`
    """
    session = session_of(context)
    taken = [file for ending in (".pem", ".key", ".p12", ".password") if (file := directory / (name + ending)).exists()]
    if taken:
        raise UsageFault(f"{taken[0]} is there already, and nothing is overwritten", remedy="choose another name")
    try:
        authority = load_authority((directory / "ca.pem").read_bytes(), (directory / "ca.key").read_bytes())
        identity = client_identity(authority, name=name, now=datetime.now(UTC), days=days)
    except (OSError, ValueError) as error:
        raise UsageFault(
            f"no client certificate can be made with {directory}: {error}",
            remedy="name the directory of `holdfast tls init`, with its ca.pem and ca.key",
        ) from error
    check_owner(directory)
    steps = _write_client(directory.absolute(), authority, name, identity)
    known = directory.absolute() / "known-clients.txt"
    listed = known.read_bytes() if known.exists() else b""
    write_durably(known, listed + known_clients_line(identity.certificate).encode(), private=True)
    steps.append(Step("known clients, one more line", known, made=False))
    session.output.document({"files": [{"what": step.what, "path": str(step.path)} for step in steps]})
    session.output.table(("what", "where"), [(step.what, str(step.path)) for step in steps])
    session.output.line("Where the configuration names known-clients.txt, a reload of the signer takes it.")


def _write(directory: Path, authority: Authority, server: Identity, clients: dict[str, Identity]) -> list[Step]:
    steps = [
        ensure_file(directory / "ca.key", "authority's key", pem_key(authority.key)),
        ensure_file(directory / "server.key", "server's key", pem_key(server.key)),
        ensure_file(directory / "server.pem", "server's certificate", pem_certificate(server.certificate)),
    ]
    lines: list[str] = []
    for name, identity in clients.items():
        steps += _write_client(directory, authority, name, identity)
        lines.append(known_clients_line(identity.certificate))
    password = directory / "ca-truststore.password"
    steps.append(ensure_token(password, what="trust store's password"))
    steps += [
        ensure_file(directory / "known-clients.txt", "known clients", "".join(lines).encode()),
        ensure_file(
            directory / "ca-truststore.p12",
            "authority's certificate for Java",
            trust_store(authority.certificate, _read(password)),
        ),
        # Last: it is what says that the directory is complete.
        ensure_file(directory / "ca.pem", "authority's certificate", pem_certificate(authority.certificate)),
    ]
    return steps


def _write_client(directory: Path, authority: Authority, name: str, identity: Identity) -> list[Step]:
    password = directory / f"{name}.password"
    return [
        ensure_file(directory / f"{name}.key", f"{name}'s key", pem_key(identity.key)),
        ensure_file(directory / f"{name}.pem", f"{name}'s certificate", pem_certificate(identity.certificate)),
        ensure_token(password, what=f"password of {name}.p12"),
        ensure_file(
            directory / f"{name}.p12",
            f"{name}'s key and certificate",
            client_bundle(identity, authority, name=name, password=_read(password)),
        ),
    ]


def _read(password: Path) -> Secret:
    return Secret(password.read_bytes().strip())


def _tell(session: Session, directory: Path, clients: tuple[str, ...], *, host: str) -> None:
    def bundle(program: str) -> str:
        """The client that is named after a program is for it."""
        return program if program in clients else clients[0]

    text = _WHAT_GOES_WHERE.format(
        directory=directory,
        name=clients[0],
        teku=bundle("teku"),
        lighthouse=bundle("lighthouse"),
        host=f"[{host}]" if ":" in host else host,
    )
    for line in text.splitlines():
        session.output.line(line)


_WHAT_GOES_WHERE = """
Holdfast (configuration):
  server:
    tls:
      certificate_file: {directory}/server.pem
      key_file: {directory}/server.key
      client_ca_file: {directory}/ca.pem        # every client of this authority,
      # known_clients_file: {directory}/known-clients.txt   # or these alone

Teku (flags):
  --validators-external-signer-url=https://{host}:9000
  --validators-external-signer-keystore={directory}/{teku}.p12
  --validators-external-signer-keystore-password-file={directory}/{teku}.password
  --validators-external-signer-truststore={directory}/ca-truststore.p12
  --validators-external-signer-truststore-password-file={directory}/ca-truststore.password

Lighthouse (validator_definitions.yml, for each key):
  type: web3signer
  url: https://{host}:9000/
  root_certificate_path: {directory}/ca.pem
  client_identity_path: {directory}/{lighthouse}.p12
  client_identity_password: (the line in {directory}/{lighthouse}.password)

holdfast, from another machine:
  --endpoint https://{host}:9000 --ca {directory}/ca.pem
  --client-certificate {directory}/{name}.pem --client-key {directory}/{name}.key

Prysm, Nimbus and Vero take no client certificate, but a password in the URL. The signer then asks nobody for a
certificate (server.tls.allow_any_client: true, without client_ca_file and known_clients_file), and everybody for a
password (security.require_authentication: true, with a principal that has a password_file).
Lodestar can show neither: a private network, or a proxy that adds one.
"""

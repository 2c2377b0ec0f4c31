"""The sections `security` and `policy`: who may ask, for what, and how a refusal looks."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from signer.auth.principal import Action
from signer.config.setting import about
from signer.units import PUBLIC_KEY_BYTES, PublicKey

SHA256_BYTES = 32
"""Length of a SHA-256 digest."""

ED25519_KEY_BYTES = 32
"""Length of an Ed25519 public key (RFC 8032)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientCertificateSettings:
    """The client certificate that proves a principal; what is given must match."""

    common_name: str | None = field(
        default=None,
        metadata=about(
            "The common name in the certificate's subject. Enough alone where `server.tls.client_ca_file` vouches."
        ),
    )
    sha256: bytes | None = field(
        default=None,
        metadata=about(
            "The certificate's SHA-256 fingerprint, with or without colons, as `openssl x509 -fingerprint -sha256` "
            "prints it.",
            byte_count=SHA256_BYTES,
        ),
    )

    @property
    def given(self) -> bool:
        """True when a certificate is described at all."""
        return self.common_name is not None or self.sha256 is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class PrincipalSettings:
    """One caller known by name, its proofs and its grants."""

    name: str = field(
        metadata=about(
            "The name in the log and the audit log, and the user name of basic authentication.",
            pattern=r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}",
            pattern_text="1 to 64 letters, digits, dots, dashes or underscores",
            required=True,
        )
    )
    groups: tuple[str, ...] = field(
        default=(),
        metadata=about(
            "Names of the groups it belongs to: seen by policies, and where one asks for approvals, who may give them "
            "(with the action `approvals:vote`). Spelled as verdicts name groups, so without spaces.",
            pattern=r"[A-Za-z0-9_.:@-]{1,64}",
            pattern_text="1 to 64 letters, digits or signs of `_.:@-`, as policies name groups",
        ),
    )
    approval_key: bytes | None = field(
        default=None,
        metadata=about(
            "Its Ed25519 public key in hexadecimal, as `holdfast approvals keygen` prints it. With one, what it says "
            "about a request counts only with its signature, which the audit log keeps and anybody can verify.",
            byte_count=ED25519_KEY_BYTES,
        ),
    )
    token_sha256: bytes | None = field(
        default=None,
        repr=False,
        metadata=about(
            "SHA-256 of its bearer token in hexadecimal, so that the token itself is in no file of ours.",
            byte_count=SHA256_BYTES,
            optional_prefix="sha256$",
            secret=True,
        ),
    )
    token_file: Path | None = field(
        default=None,
        metadata=about("A file whose first line is its bearer token.", must_exist="file", private_file=True),
    )
    password_file: Path | None = field(
        default=None,
        metadata=about(
            "A file whose first line is its password for basic authentication, for clients that take credentials only "
            "in a URL.",
            must_exist="file",
            private_file=True,
        ),
    )
    password_hash: str | None = field(
        default=None,
        repr=False,
        metadata=about(
            "Instead of `password_file`: its hash, as `scrypt$<n>$<r>$<p>$<salt hex>$<hash hex>` or, for a random "
            "password, `sha256$<salt hex>$<hash hex>`.",
            secret=True,
        ),
    )
    certificate: ClientCertificateSettings = field(
        default_factory=ClientCertificateSettings, metadata=about("The client certificate that proves it.")
    )
    actions: tuple[Action, ...] = field(
        default=(Action.KEYS_LIST, Action.SIGN_DUTY),
        metadata=about("What it may do. The default is what a validator client needs and nothing more."),
    )
    keys: tuple[PublicKey, ...] | None = field(
        default=None,
        metadata=about(
            "Public keys it may see and use; any other key is unknown to it.",
            default_text="every key",
            byte_count=PUBLIC_KEY_BYTES,
        ),
    )
    duties: tuple[str, ...] | None = field(
        default=None,
        metadata=about(
            "Signing types (`ATTESTATION`, `BLOCK_V2`, ...) it may have signed.",
            default_text="every type",
            pattern=r"[A-Z][A-Z0-9_]*",
            pattern_text="a signing type in capitals, as the remote signing API writes it",
        ),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class SecuritySettings:
    """Who may ask."""

    require_authentication: bool = field(
        default=False,
        metadata=about(
            "Refuses everyone who proves no principal. Off, because on loopback the machine's own users are the only "
            "callers; `production` refuses to listen further without it or client certificates, and to start with "
            "principals while this is not written: whoever shows nothing may do everything, so they would bind nobody."
        ),
    )
    principals: tuple[PrincipalSettings, ...] = field(
        default=(),
        metadata=about(
            "The callers known by name. Each proves itself by bearer token, basic password or client certificate, "
            "by none that another has too. Their limits hold where `require_authentication` is on."
        ),
    )
    extension_signing: bool = field(
        default=False,
        metadata=about(
            "Serves Web3Signer's `ext/sign`, which signs bytes as they come: the one exception to signing only what we "
            "hash. Marked in the audit log."
        ),
    )
    minimum_secret_characters: int = field(
        default=16,
        metadata=about(
            "`production` refuses a shorter bearer token, basic password or master password: a short one is guessed.",
            unit="characters",
            minimum=8,
            maximum=1024,
        ),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class IrreversibleGrantSettings:
    """One duty that nothing takes back, turned on for one client and some keys."""

    duty: Literal["VOLUNTARY_EXIT", "BLS_TO_EXECUTION_CHANGE", "DEPOSIT"] = field(
        metadata=about("The signing type.", required=True)
    )
    principal: str = field(
        metadata=about(
            "The client: a name of `security.principals`, or `anonymous` where nobody is asked who they are.",
            required=True,
        )
    )
    keys: tuple[PublicKey, ...] = field(
        metadata=about("The public keys it may be signed with.", byte_count=PUBLIC_KEY_BYTES, required=True)
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicySettings:
    """How refusals by the operator's own rules look."""

    irreversible_duties: Literal["granted", "allowed"] = field(
        default="granted",
        metadata=about(
            "Exits, changes of withdrawal credentials and deposits cannot be taken back. `granted`: signed only where "
            "`policy.irreversible_grants` names type, client and key. `allowed`: as any other duty, as in Web3Signer.",
            default_text="`granted`; `allowed` in the presets `development` and `test`",
        ),
    )
    irreversible_grants: tuple[IrreversibleGrantSettings, ...] = field(
        default=(), metadata=about("What is turned on of them: each entry one type, one client and its keys.")
    )
    unbound_duties: Literal["allow", "deny"] = field(
        default="allow",
        metadata=about(
            "Consensus duties to which no policy is bound: signed, as far as slashing protection lets them, or refused."
        ),
    )
    unbound_transactions: Literal["allow", "deny"] = field(
        default="deny",
        metadata=about(
            "Transactions to which no policy is bound. What cannot be read is refused whatever is set here.",
            default_text="`deny`; `allow` in the presets `development` and `test`",
        ),
    )
    refusal_status: Literal[412, 403] = field(
        default=412,
        metadata=about(
            "HTTP status of a policy's refusal on Web3Signer's routes. 412: every client takes it for a final no; 403 "
            "tells it from slashing protection, where the client logs both alike."
        ),
    )
    facts_keep_days: int = field(
        default=30,
        metadata=about(
            "How long the facts of decisions stay on record, of namespaces that keep them (`holdfast policy "
            "keep-facts`): some 2 KiB each, for `holdfast policy replay`. Their hash stays in the audit log.",
            unit="days",
            minimum=1,
            maximum=3650,
        ),
    )

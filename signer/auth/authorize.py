"""May this principal do that: pure, and it fails closed."""

from signer.auth.principal import Action, Principal
from signer.errors import ForbiddenError
from signer.units import PublicKey


def may_see(principal: Principal, public_key: PublicKey) -> bool:
    """True if this key exists as far as the principal is concerned; what it may not see is answered as unknown."""
    return principal.keys is None or public_key in principal.keys


def check_authorized(
    principal: Principal, action: Action, *, public_key: PublicKey | None = None, duty_type: str | None = None
) -> None:
    """Raises ForbiddenError, naming what is missing: the action, the key, or the duty type."""
    if action not in principal.actions:
        raise ForbiddenError(
            f"principal {principal.name} is not granted {action}",
            evidence={"principal": principal.name, "action": str(action)},
        )
    if public_key is not None and not may_see(principal, public_key):
        raise ForbiddenError(
            f"principal {principal.name} is not granted this key",
            evidence={"principal": principal.name, "public_key": "0x" + public_key.hex()},
        )
    if duty_type is not None and principal.duties is not None and duty_type not in principal.duties:
        raise ForbiddenError(
            f"principal {principal.name} is not granted duties of type {duty_type}",
            evidence={"principal": principal.name, "type": duty_type},
        )

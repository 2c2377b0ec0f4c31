"""A module, and what its manifest says of it, to a policy that can decide."""

from typing import Any

from msgspec import DecodeError
from msgspec import json as fast_json

from signer.errors import PolicyExportError, PolicyImportError, PolicyModuleError
from signer.nesting import is_nested_deeper
from signer.policy.compiled import CompiledModule, Interface
from signer.policy.grants import NO_GRANTS, Grants
from signer.policy.limits import DEFAULT_LIMITS, Limits
from signer.policy.modules import Modules
from signer.policy.pack import MAX_DATA_BYTES
from signer.policy.sandbox import LoadedPolicy, Sandbox
from signer.policy.verdict import printable

_MAX_DATA_LEVELS = 32


def load_policy(
    modules: Modules,
    sandbox: Sandbox,
    module: bytes,
    *,
    grants: Grants = NO_GRANTS,
    limits: Limits = DEFAULT_LIMITS,
    data: bytes = b"",
    entry_point: str = "",
) -> LoadedPolicy:
    """The policy. Compiles what is new: never call it on the event loop.

    Args:
        modules: of the engine that will run it.
        sandbox: of the calling thread; modules of Open Policy Agent are asked in it what they need.
        module: the bytes of the WebAssembly module.
        grants: what it may ask of its host.
        limits: what one decision may use up.
        data: for Open Policy Agent: the `data` document, a JSON object; empty where there is none.
        entry_point: for Open Policy Agent: the rule that decides, `package/rule`; may be empty where there is only one.

    Raises:
        PolicyModuleError: one of its classes, with the reason.
    """
    compiled = modules.load(module, grants)
    if compiled.interface is Interface.VERSION_1:
        if data or entry_point:
            raise PolicyModuleError("a data document and an entry point are for modules of Open Policy Agent alone")
        return LoadedPolicy(compiled, grants, limits)
    _check_data(data)
    number = _entry_point(compiled, sandbox, limits, wanted=entry_point)
    return LoadedPolicy(compiled, grants, limits, data, number)


def _entry_point(compiled: CompiledModule, sandbox: Sandbox, limits: Limits, *, wanted: str) -> int:
    needs = sandbox.needs_of(compiled, limits)
    if needs.builtins:
        named = printable(", ".join(needs.builtins))[:300]
        raise PolicyImportError(
            f"the policy needs builtins that are not in its module and that no policy is given: {named}. Write it"
            " without them",
            imported=printable(needs.builtins[0])[:200],
        )
    if not wanted and len(needs.entry_points) == 1:
        return next(iter(needs.entry_points.values()))
    if wanted not in needs.entry_points:
        offered = printable(", ".join(sorted(needs.entry_points)))[:300]
        raise PolicyExportError(
            f"the module has no entry point {wanted!r}; it has {offered}. Name one of them (`opa build -e`)",
            export=wanted,
        )
    return needs.entry_points[wanted]


def _check_data(data: bytes) -> None:
    if not data:
        return
    if len(data) > MAX_DATA_BYTES:
        raise PolicyModuleError(f"the data document has {len(data)} bytes; at most {MAX_DATA_BYTES} are read")
    if is_nested_deeper(data, levels=_MAX_DATA_LEVELS):
        raise PolicyModuleError(f"the data document is nested more than {_MAX_DATA_LEVELS} levels deep")
    try:
        fast_json.decode(data, type=dict[str, Any])
    except (DecodeError, UnicodeDecodeError) as error:
        raise PolicyModuleError(f"the data document is no JSON object: {error}") from None

"""From a pack to what decides: the one way in which every kind of policy is loaded."""

from signer.errors import ConfigError, PolicyPackError
from signer.policy.combine import BY_DEFAULT
from signer.policy.loading import load_policy
from signer.policy.modules import Modules
from signer.policy.native import make_engine
from signer.policy.pack import Kind, Pack
from signer.policy.rules.file import read_rule_file
from signer.policy.rules.rule import RuleFile
from signer.policy.sandbox import LoadedPolicy, Sandbox


def load_pack(modules: Modules, sandbox: Sandbox, pack: Pack) -> LoadedPolicy | RuleFile:
    """What decides. Compiles what is new: never call it on the event loop.

    Raises:
        PolicyModuleError: one of its classes, with the reason.
        PolicyPackError: its rules are none; the sentence says where, and what would be right.
    """
    manifest = pack.manifest
    match manifest.kind:
        case Kind.RULES:
            return _rules(pack)
        case Kind.MODULE:
            return load_policy(
                modules,
                sandbox,
                pack.content,
                grants=manifest.grants,
                limits=manifest.limits,
                data=pack.data,
                entry_point=manifest.entry_point,
            )


def check_loads(pack: Pack) -> None:
    """Load a policy once, in an engine of its own, so that nothing of it stays. Takes long: never on the event loop.

    Raises:
        PolicyModuleError, PolicyPackError: as `load_pack`; also for the name that is kept for defaults.
    """
    if pack.manifest.name == BY_DEFAULT:
        raise PolicyPackError(f"no policy may be called {BY_DEFAULT!r}: answers call the namespace's default so")
    if pack.manifest.kind is Kind.RULES:
        _rules(pack)
        return
    engine = make_engine()
    load_pack(Modules(engine), Sandbox(engine), pack)


def _rules(pack: Pack) -> RuleFile:
    try:
        return read_rule_file(pack.content.decode(), name=pack.manifest.name)
    except UnicodeDecodeError:
        raise PolicyPackError("the rules are not written in UTF-8") from None
    except ConfigError as error:
        raise PolicyPackError(
            f"the rules cannot be read: {error.sentence} ({error.where}); {error.remedy}", evidence=error.evidence
        ) from None

"""A policy on its author's bench: asked in this process, without a server and without a record.

It decides as it does in a signer: in the same sandbox, with its manifest's grants and limits, and with ticks that end
what takes too long.
"""

import threading
import time
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from wasmtime import Engine

from signer.errors import ConfigError
from signer.policy import native
from signer.policy.compiled import Interface
from signer.policy.facts import Facts, encode_facts
from signer.policy.given import NOTHING_GIVEN
from signer.policy.grants import ALL_FUNCTIONS, Grants, Host
from signer.policy.guest import TICK_SECONDS
from signer.policy.loading import load_policy
from signer.policy.modules import Modules
from signer.policy.native import make_engine
from signer.policy.pack import Kind, Pack
from signer.policy.rules.file import read_rule_file
from signer.policy.rules.rule import RuleFile
from signer.policy.sandbox import Evaluation, LoadedPolicy, Sandbox


@dataclass(frozen=True, slots=True)
class Opened:
    """A policy that can be asked."""

    pack: Pack
    decider: RuleFile | LoadedPolicy


class Workbench:
    """Owned by one thread, which opens and asks; a context manager: its ticks end with the block."""

    def __init__(self) -> None:
        self._engine: Engine = make_engine()
        self._modules = Modules(self._engine)
        self._sandbox = Sandbox(self._engine)
        self._ended = threading.Event()
        self._ticks = threading.Thread(target=self._tick, name="policy-ticks", daemon=True)

    def __enter__(self) -> Self:
        self._ticks.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._ended.set()
        self._ticks.join()

    def open(self, pack: Pack, *, name: str) -> Opened:
        """The policy of this pack; `name` is what errors and findings call a file of rules.

        Raises:
            PolicyModuleError: one of its classes: the module is not taken.
            ConfigError: the rules are at fault.
        """
        manifest = pack.manifest
        match manifest.kind:
            case Kind.RULES:
                return Opened(pack, read_rule_file(_text(pack.content, name), name=name))
            case Kind.MODULE:
                loaded = load_policy(
                    self._modules,
                    self._sandbox,
                    pack.content,
                    grants=manifest.grants,
                    limits=manifest.limits,
                    data=pack.data,
                    entry_point=manifest.entry_point,
                )
                return Opened(pack, loaded)

    def check_module(self, module: bytes) -> Interface:
        """The interface of a module that a manifest could make a policy. Raises PolicyModuleError where none could."""
        compiled = self._modules.load(module, Grants(ALL_FUNCTIONS))
        if compiled.interface is Interface.OPA:
            some = min(self._sandbox.needs_of(compiled).entry_points, default="")
            load_policy(self._modules, self._sandbox, module, entry_point=some)
        return compiled.interface

    def ask(self, policy: Opened, facts: Facts, given: Host = NOTHING_GIVEN) -> Evaluation:
        """What it says of these facts, as if its questions were answered what is given."""
        match policy.decider:
            case RuleFile() as rules:
                started = time.perf_counter()
                verdict = rules(facts)
                return Evaluation(verdict, seconds=time.perf_counter() - started)
            case LoadedPolicy() as loaded:
                return self._sandbox.decide(loaded, encode_facts(facts), given)

    def _tick(self) -> None:
        while not self._ended.wait(TICK_SECONDS):
            native.increment_epoch(native.address(self._engine.ptr()))


def _text(content: bytes, name: str) -> str:
    try:
        return content.decode()
    except UnicodeDecodeError:
        raise ConfigError(
            f"{name} is not UTF-8", where=name, key="", remedy="write the rules as text in UTF-8"
        ) from None

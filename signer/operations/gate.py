"""The ordered list of checks that every use of a key walks.

    who asks          authenticated by the edge before the body was read (401)
    what exactly      the signing root, computed by us from the decoded object (400 when the caller's differs)
    which key         loaded, and visible to this caller (404, the same answer for both)
    may they          the principal's actions, keys and duty types (403)
    for good?         exits, credential changes and deposits: granted to this principal for this key (412)
    which chain       genesis_validators_root is the pinned one (412)
    when              not further ahead of the clock than the guard allows (412)
    as set            fee recipient and gas limit are those set for the key; judged inside the commit alone (412)
    policies          those bound to key and caller, or the default where none is; that they hold still, what they have
                      read and what they spend is judged inside the commit (412)
    in service        the key's state: not frozen, disabled, deleted or waiting; judged inside the commit alone (412)
    on record         the slashing ledger, inside the commit (412)

Rule 1: the order is the order of this file; there is no second road and no switch around a check.
Rule 2: everything here fails closed. What can change between here and the commit is judged again by a ledger.
"""

from collections.abc import Awaitable
from typing import Any

from signer.auth.authorize import check_authorized, may_see
from signer.auth.irreversible import IrreversibleRule
from signer.auth.principal import Action, Caller
from signer.clock import Clock
from signer.errors import (
    FarFutureError,
    SigningRootMismatchError,
    UnknownKeyError,
    WrongNetworkError,
)
from signer.eth2.block_proofs import BodyProof
from signer.eth2.duties import (
    BUILDER_INDEX_SELF_BUILD,
    AttestationDuty,
    BlockDuty,
    Duty,
    ExecutionPayloadEnvelopeDuty,
    ProposerPreferencesDuty,
    ValidatorRegistrationDuty,
)
from signer.eth2.networks import Network
from signer.eth2.signing_root import signing_root
from signer.eth2.timing import AtEpoch, moments
from signer.intent import SignDuty, SignExtension
from signer.keys.key import Key
from signer.keys.ledger import KeyUseClaim
from signer.keys.preference_ledger import PreferenceClaim
from signer.keys.preferences import NOTHING_SET, Preferences
from signer.keys.ring import KeyRing
from signer.operations.policies import Judged
from signer.operations.policies_in_force import NOBODY
from signer.operations.policy_check import Asking, Listen, Passed, PolicyCheck
from signer.slashing.ledger import AttestationClaim, BlockClaim
from signer.slashing.network import NetworkClaim
from signer.units import Epoch, PublicKey, Root


class Gate:
    """One for the life of the process; its checks are pure but for the clock and the ring they read."""

    def __init__(
        self,
        *,
        ring: KeyRing,
        network: Network,
        pinned: Root | None,
        clock: Clock,
        far_future_epochs: int | None,
        irreversible: IrreversibleRule,
        policy_check: PolicyCheck,
        defaults: Preferences = NOTHING_SET,
    ) -> None:
        """`defaults`: fee recipient and gas limit of keys for which none are set."""
        self._ring = ring
        self._network = network
        self._pinned = pinned
        self._clock = clock
        self._far_future_epochs = far_future_epochs
        self._irreversible = irreversible
        self._policy_check = policy_check
        self._policies = policy_check.policies
        self._defaults = defaults

    @property
    def pinned(self) -> Root | None:
        """The genesis_validators_root that duties must be for; None until the first is on record."""
        return self._pinned

    def pin(self, root: Root) -> None:
        """A NetworkClaim is durable: from now on every duty is compared with it."""
        self._pinned = root

    def identify(self, intent: SignDuty, caller: Caller) -> tuple[Key, Root]:
        """What exactly, with which key: the checks whose failure is not a decision about a key.

        Raises:
            MalformedRequestError, SigningRootMismatchError, UnknownKeyError.
        """
        root = signing_root(intent.duty, intent.fork_info, self._network)
        if intent.claimed_root is not None and intent.claimed_root != root:
            raise SigningRootMismatchError(claimed=intent.claimed_root, computed=root)
        return self.find_key(intent.public_key, caller), root

    def find_key(self, public_key: PublicKey, caller: Caller) -> Key:
        """The loaded key.

        Raises:
            UnknownKeyError: not loaded, or not this caller's to see.
        """
        key = self._ring.find(public_key)
        if key is None or not may_see(caller.principal, public_key):
            raise UnknownKeyError("0x" + public_key.hex())
        return key

    def decide(self, intent: SignDuty, caller: Caller, *, key: Key, root: Root) -> Passed:
        """May they, which chain, when: decisions, each of which is audited. Where policies have a say, `ask` is next.

        Raises:
            ForbiddenError, WrongNetworkError, FarFutureError.
        """
        check_authorized(caller.principal, Action.SIGN_DUTY, duty_type=intent.duty.type)
        self._irreversible.check(intent.duty.type, principal=caller.principal.name, public_key=intent.public_key)
        network_claims = self._check_network(intent)
        self._check_time(intent.duty)
        # First: a key that is out of service is told before anything else.
        use = KeyUseClaim(intent.public_key, self._slashable_epoch(intent.duty))
        named = _preference_claims(intent.public_key, intent.duty, self._defaults)
        slashing = _slashing_claims(intent.public_key, intent.duty, root)
        in_force = self._policies.in_force
        bound = in_force.bound(key, caller.principal)
        claims = (use, *named, *network_claims, in_force.claim, *slashing)
        if bound is NOBODY and self._policies.lets_duties_pass and not in_force.keeps(key.namespace):
            return Passed(key, root, claims)
        return Passed(key, root, claims, Asking(in_force, bound, len(claims) - len(slashing)))

    def decide_extension(self, intent: SignExtension, caller: Caller, *, key: Key, digest: Root) -> Passed:
        """May they have raw bytes signed. Where no policy is bound, the setting that serves this at all allows it.

        Raises:
            ForbiddenError.
        """
        check_authorized(caller.principal, Action.SIGN_EXTENSION, duty_type=intent.duty_type)
        in_force = self._policies.in_force
        bound = in_force.bound(key, caller.principal)
        claims = (KeyUseClaim(intent.public_key), in_force.claim)
        asking = None if bound is NOBODY else Asking(in_force, bound, len(claims))
        return Passed(key, digest, claims, asking)

    def ask(
        self, intent: SignDuty | SignExtension, passed: Passed, caller: Caller, *, listen: Listen
    ) -> Awaitable[Passed]:
        """What the policies say; `passed` with its claims complete.

        Raises:
            PolicyDeniedError, ApprovalRequiredError, UnavailableError, StartupError.
        """
        if isinstance(intent, SignExtension):
            return self._policy_check.check_extension(intent, passed, caller, listen=listen)
        return self._policy_check.check_duty(intent, passed, caller, listen=listen)

    def ask_for_nothing(self, intent: SignDuty, passed: Passed, caller: Caller, *, listen: Listen) -> Awaitable[Passed]:
        """The same where nothing will be signed; policies are told so. Raises as `ask`."""
        return self._policy_check.check_duty(intent, passed, caller, listen=listen, simulation=True)

    async def judge_only(self, intent: SignDuty, caller: Caller) -> Judged:
        """What the policies alone say, where nothing will be signed.

        Raises:
            RequestError, UnknownKeyError, UnavailableError, StartupError.
        """
        key, root = self.identify(intent, caller)
        in_force = self._policies.in_force
        asking = Asking(in_force, in_force.bound(key, caller.principal), 0)
        return await self._policy_check.judge_duty(
            intent, Passed(key, root, (), asking), caller, asking, simulation=True
        )

    def compare_shadows(self, judged: Judged | None) -> None:
        """It stands so for this request: versions that run beside are asked once. None: no policy was asked."""
        if judged is not None:
            self._policies.compare_shadows(judged)

    async def read_policies_again(self, *, beyond: int) -> None:
        """Something newer than this revision holds. Raises StartupError, DatabaseDownError."""
        await self._policies.refresh(beyond=beyond)

    def _check_network(self, intent: SignDuty) -> tuple[NetworkClaim, ...]:
        if intent.fork_info is None:
            return ()
        root = intent.fork_info.genesis_validators_root
        if self._pinned is None:
            return (NetworkClaim(root),)
        if root != self._pinned:
            raise WrongNetworkError(requested=root, pinned=self._pinned)
        return ()

    def _slashable_epoch(self, duty: Duty) -> Epoch | None:
        match duty:
            case AttestationDuty():
                return duty.target_epoch
            case BlockDuty():
                return self._network.epoch_of(duty.slot)
            case _:
                return None

    def _check_time(self, duty: Duty) -> None:
        if self._far_future_epochs is None:
            return
        now = self._network.epoch_at(self._clock.now())
        if now is None:
            raise FarFutureError(field="genesis_time", requested=0, limit=0)
        limit = now + self._far_future_epochs
        for moment in moments(duty):
            if isinstance(moment, AtEpoch):
                if moment.epoch > limit:
                    raise FarFutureError(field=moment.field, requested=moment.epoch, limit=limit)
            elif self._network.epoch_of(moment.slot) > limit:
                last_slot = (limit + 1) * self._network.preset.slots_per_epoch - 1
                raise FarFutureError(field=moment.field, requested=moment.slot, limit=last_slot)


def _slashing_claims(public_key: PublicKey, duty: Duty, root: Root) -> tuple[Any, ...]:
    match duty:
        case AttestationDuty():
            return (AttestationClaim(public_key, duty.source_epoch, duty.target_epoch, root),)
        case BlockDuty():
            return (BlockClaim(public_key, duty.slot, root),)
        case _:
            return ()


def _preference_claims(public_key: PublicKey, duty: Duty, defaults: Preferences) -> tuple[PreferenceClaim, ...]:
    """What the duty says of fee recipient and gas limit, provably. A header alone says nothing."""
    proof: BodyProof | None = None
    fee_recipient: bytes | None = None
    gas_limit: int | None = None
    match duty:
        case AttestationDuty():
            return ()
        case BlockDuty() if duty.fee_recipient_proof is not None:
            proof = duty.fee_recipient_proof
        case ValidatorRegistrationDuty():
            fee_recipient, gas_limit = duty.fee_recipient, duty.gas_limit
        case ProposerPreferencesDuty():
            fee_recipient, gas_limit = duty.fee_recipient, duty.target_gas_limit
        case ExecutionPayloadEnvelopeDuty() if duty.builder_index == BUILDER_INDEX_SELF_BUILD:
            fee_recipient = duty.fee_recipient
        case _:
            return ()
    return (PreferenceClaim(public_key, fee_recipient, gas_limit, proof, defaults.fee_recipient, defaults.gas_limit),)


def span(duty: Duty) -> tuple[int, int]:
    """What the audit log remembers of when: source and target epoch of a vote, else the slot or epoch twice."""
    if isinstance(duty, AttestationDuty):
        return duty.source_epoch, duty.target_epoch
    for moment in moments(duty):
        value = moment.epoch if isinstance(moment, AtEpoch) else moment.slot
        return value, value
    return 0, 0

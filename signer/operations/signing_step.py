"""One duty on its way to a signature: what is to be committed, and what may be signed once that is durable."""

from dataclasses import dataclass

from msgspec.structs import replace

from signer.errors import SignerError, SigningFailedError
from signer.journal.command import Command
from signer.operations.hold_for_people import given_out_again
from signer.operations.policies import Judged
from signer.operations.policy_check import Passed
from signer.policy.policy_set_ledger import PolicySetClaim


@dataclass(slots=True)
class Step:
    """One duty on its way through: a command to commit, and what to sign once it is durable."""

    command: Command | None
    """None while policies are to be asked."""

    passed: Passed | None
    error: SignerError | None
    """A refusal that was decided before the commit, which only records it."""

    judged: Judged | None = None
    """What policies have said, where any was asked."""

    def get_passed(self) -> Passed:
        """What the gate let through. Raises SigningFailedError: nothing."""
        if self.passed is None:
            raise SigningFailedError("nothing passed the gate")
        return self.passed

    def get_command(self) -> Command:
        """What is to be committed. Raises SigningFailedError: nobody has decided yet."""
        if self.command is None:
            raise SigningFailedError("the policies were not asked")
        return self.command

    @property
    def revision(self) -> int:
        """Of the policies by which it was decided."""
        return next(claim.revision for claim in self.get_command().claims if isinstance(claim, PolicySetClaim))

    def second(self) -> "Step | None":
        """The same for whoever comes second with an approval: the same signature, and nothing is spent.

        None where no approval is spent, so that nobody could come second.
        """
        claims = None if self.passed is None else given_out_again(self.passed.claims)
        if self.passed is None or claims is None:
            return None
        command = self.get_command()
        return Step(Command(claims, command.story, command.kept), replace(self.passed, claims=claims), None)

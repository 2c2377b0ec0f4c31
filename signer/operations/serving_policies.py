"""Since when the policies of a request decide it: asked of the record, once for each revision and place."""

import asyncio
from functools import partial

from signer.journal.reader import Reading
from signer.operations.reading import read_record
from signer.policy.bindings import Target, targets_of
from signer.policy.facts import Facts
from signer.policy.serving_since import Since, read_serving_since

MOST_REMEMBERED = 4096
"""Places (a key with its tags, and a caller) of which it is remembered: the first one is forgotten for one more."""


class ServingPolicies:
    """One for the life of the process, on its event loop. What it remembers is history, which never changes."""

    def __init__(self, reading: Reading) -> None:
        self._reading = reading
        self._known: dict[tuple[Target, ...], Since] = {}

    async def since(self, facts: Facts, *, revision: int) -> int:
        """From this revision on the policies of `revision` have decided requests like this one, without a break.

        Raises:
            StartupError, DatabaseDownError: the record cannot be read.
        """
        targets = targets_of(facts.signer, facts.caller)
        known = self._known.get(targets)
        if known is None or known.revision != revision:
            question = partial(read_serving_since, targets=frozenset(targets), revision=revision, known=known)
            known = await asyncio.to_thread(read_record, self._reading, question)
            if len(self._known) >= MOST_REMEMBERED and targets not in self._known:
                del self._known[next(iter(self._known))]
            self._known[targets] = known
        return known.since

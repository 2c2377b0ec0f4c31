"""Which keys does the record keep from signing, and how is that ended? Shared with what a running server answers."""

from collections.abc import Iterator

from signer.journal.ledger import Transaction
from signer.keys.ledger import EVERY_KEY, KeyState
from signer.keys.standing import read_standings
from signer.keys.tags import read_frozen_tags
from signer.operations.examine.finding import Figures, Finding, Grade
from signer.units import Epoch


def examine_standing(transaction: Transaction, *, epoch: Epoch | None) -> Iterator[Finding]:
    """What stops keys by the record alone; `epoch`: the present one, None if nobody knows it."""
    standings = read_standings(transaction)
    single = [state for key, state in standings.states.items() if key != EVERY_KEY]
    frozen = sum(state.frozen_ms is not None for state in single)
    everybody = standings.states.get(EVERY_KEY, KeyState()).frozen_ms is not None
    yield from frozen_keys({"all": everybody, "keys": frozen, "tags": len(read_frozen_tags(transaction))})
    yield from moved_keys(sum(state.disabled_ms is not None for state in single))
    if standings.disabled_beside:
        count = len(standings.disabled_beside)
        sentence = f"{count} keys are disabled in the database (validators.enabled), and not by this signer"
        remedy = "`holdfast slashing status` shows them; whoever disabled them there enables them again"
        yield Finding("disabled keys", Grade.WARNING, sentence, remedy, {"keys": count})
    ends = [state.quarantine_until for state in single if state.quarantine_until is not None]
    waiting = [end for end in ends if epoch is None or end > epoch]
    if waiting:
        yield from waiting_keys({"keys": len(waiting), "until_epoch": max(waiting)})


def frozen_keys(frozen: Figures) -> Iterator[Finding]:
    """What operators keep from signing: `all`, and how many `keys` and `tags`."""
    if frozen.get("all"):
        sentence = "all keys are frozen: nothing is signed"
    elif frozen.get("keys") or frozen.get("tags"):
        sentence = f"frozen: {frozen.get('keys')} keys by themselves, and those of {frozen.get('tags')} tags"
    else:
        return
    remedy = "`holdfast freeze` shows what is frozen, `holdfast keys list` each key; holdfast thaw ends it"
    yield Finding("frozen", Grade.WARNING, sentence, remedy, frozen)


def moved_keys(count: int) -> Iterator[Finding]:
    """Keys that sign somewhere else."""
    if count:
        sentence = f"{count} keys are out of service: moved out"
        yield Finding("moved keys", Grade.OK, sentence, "`holdfast keys list` shows them", {"keys": count})


def waiting_keys(waits: Figures) -> Iterator[Finding]:
    """Keys whose votes and blocks are refused, and for how long: how many `keys`, `until_epoch`, `until` as a date."""
    if waits.get("keys"):
        date = f" ({waits['until']})" if waits.get("until") else ""
        yield Finding(
            "quarantine",
            Grade.WARNING,
            f"{waits.get('keys')} keys came without slashing history: no votes and blocks of theirs until epoch"
            f" {waits.get('until_epoch')}{date}",
            "import their history (holdfast slashing import, holdfast migrate in); or, if nothing else can sign with"
            " them, holdfast keys release KEY; `holdfast keys list` shows them",
            waits,
        )

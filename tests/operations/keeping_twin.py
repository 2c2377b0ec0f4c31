"""What operators do with the record by hand, over a record that is opened as the service opens it."""

from typing import Any

from operations.record_twin import House

from signer.audit.chain import unpack
from signer.audit.entry import Entry, decode_entry
from signer.audit.verify import stored_batches
from signer.eth2.builtin_networks import find_network
from signer.operations.explain import Explaining
from signer.operations.horizon import Horizon
from signer.operations.keep_record import LocalRecordOrders, RecordKeeping
from signer.operations.kept_record import KeptRecord
from signer.operations.prune import PruningPlan, RecordPruning

KEPT = 20
"""Epochs that the configuration keeps."""


def horizon(house: House) -> Horizon:
    network = find_network("mainnet")
    assert network is not None
    return Horizon(network, house.clock, 1)


def pruning(house: House, changes: Any, *, interval_seconds: float | None = None) -> RecordPruning:
    plan = PruningPlan(KEPT, KEPT * 32, interval_seconds)
    read = house.reading
    return RecordPruning(changes=changes, read=read, horizon=horizon(house), plan=plan)


def keeping(house: House, record: KeptRecord) -> RecordKeeping:
    orders = LocalRecordOrders(changes=record.writer, pruning=pruning(house, record.writer), horizon=horizon(house))
    return RecordKeeping(orders=orders, horizon=horizon(house))


def explaining(house: House) -> Explaining:
    return Explaining(read=house.reading, horizon=horizon(house))


def entries(house: House) -> list[Entry]:
    """The whole audit log."""
    with house.reading() as moment:
        return [decode_entry(entry) for batch in stored_batches(moment) for entry in unpack(batch.entries)]

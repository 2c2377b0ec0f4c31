"""What an import did for each validator, to its rows and back."""

from signer.operations.protect import ImportedValidator
from signer.relay.frames import FloorsRow, ValidatorRow
from signer.slashing.incoming import Floors
from signer.units import Epoch, PublicKey, Slot


def validator_row(one: ImportedValidator) -> ValidatorRow:
    """As it travels."""
    return ValidatorRow(
        one.public_key,
        one.blocks,
        one.attestations,
        one.error,
        one.differing,
        _floors_row(one.floors_before),
        _floors_row(one.floors_after),
        one.ends_quarantine,
    )


def validator_of(row: ValidatorRow) -> ImportedValidator:
    """As it came."""
    return ImportedValidator(
        None if row.public_key is None else PublicKey(row.public_key),
        row.blocks,
        row.attestations,
        row.error,
        row.differing,
        _floors_of(row.floors_before),
        _floors_of(row.floors_after),
        row.ends_quarantine,
    )


def _floors_row(floors: Floors | None) -> FloorsRow | None:
    return None if floors is None else FloorsRow(floors.slot, floors.source_epoch, floors.target_epoch, floors.held)


def _floors_of(row: FloorsRow | None) -> Floors | None:
    if row is None:
        return None
    return Floors(
        None if row.slot is None else Slot(row.slot),
        None if row.source_epoch is None else Epoch(row.source_epoch),
        None if row.target_epoch is None else Epoch(row.target_epoch),
        row.held,
    )

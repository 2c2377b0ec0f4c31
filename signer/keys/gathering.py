"""What one load of keys has found so far, in the order it was found."""

import time
from dataclasses import dataclass, replace
from pathlib import Path

from signer.crypto.bls import Bls
from signer.errors import KeyFileError, SealError
from signer.keys.key import Key, Origin
from signer.keys.report import (
    SOURCE_NAMES,
    LoadReport,
    Retrieval,
    SourceCount,
    SourceName,
    failed_paths,
    is_under,
)
from signer.keys.sealed_key import SealedKey
from signer.keys.sources import Entry, Findings, RawKeyEntry
from signer.keys.unlocking import LockedKeystore, PasswordFiles, raw_key, read_locked
from signer.keys.vault import OpenedKey, Vault

_VAULT_SOURCE: SourceName = "config-files-loading"
"""Where imported keys and the vault's own faults are counted: Web3Signer keeps imported keys among its YAML files."""


@dataclass(slots=True)
class _Slot:
    """One entry's place in the order: its key, once there is one."""

    source: SourceName
    key: Key | None = None
    seconds: float = 0.0
    """What the key took until now."""


@dataclass(frozen=True, slots=True)
class Job:
    """A keystore whose password is still to be worked through."""

    slot: _Slot
    locked: LockedKeystore
    fingerprint: bytes


class Gathering:
    """Lives for one load, in its thread."""

    def __init__(self, bls: Bls, vault: Vault) -> None:
        self._bls = bls
        self._vault = vault
        self._passwords = PasswordFiles()
        self._slots: list[_Slot] = []
        self._errors: list[tuple[SourceName, KeyFileError]] = []
        self._warnings: list[str] = []
        self._used: set[bytes] = set()
        sealed_file = vault.read()
        self._sealed = {sealed.fingerprint: sealed for sealed in sealed_file.keys}
        self._damage = sealed_file.fault
        self.jobs: list[Job] = []
        if self._damage:
            self.add_vault_error(f"the sealed keys are damaged: {self._damage}")

    def add(self, findings: Findings) -> None:
        """Take in what one source holds, as far as no password has to be worked through."""
        self._errors += [(findings.source, error) for error in findings.errors]
        self._warnings += findings.warnings
        for entry in findings.entries:
            slot = _Slot(findings.source)
            self._slots.append(slot)
            started = time.perf_counter()
            try:
                self._fill(slot, entry)
            except KeyFileError as fault:
                self._errors.append((findings.source, fault))
            slot.seconds = time.perf_counter() - started

    def add_imported(self) -> None:
        """Take in the keys that live in the vault alone."""
        for sealed in self._sealed.values():
            started = time.perf_counter()
            if sealed.origin is Origin.IMPORTED and (key := self._unsealed(sealed, self._vault.file)):
                self._slots.append(_Slot(_VAULT_SOURCE, key, time.perf_counter() - started))

    def settle(self, job: Job, key: Key, *, seconds: float) -> OpenedKey:
        """Take in the key of a job that took so long; returns what the vault shall keep."""
        job.slot.key = key
        job.slot.seconds += seconds
        self._used.add(job.fingerprint)
        return OpenedKey(key, job.fingerprint)

    def settle_failed(self, job: Job, fault: KeyFileError) -> None:
        """Take in that a job failed."""
        self._errors.append((job.slot.source, fault))

    def add_vault_error(self, sentence: str) -> None:
        """Report a fault of the vault itself."""
        self._errors.append((_VAULT_SOURCE, KeyFileError(sentence, file=str(self._vault.file))))

    def vault_is_stale(self) -> bool:
        """True if the vault is damaged or holds what is not wanted any more."""
        wanted = self.wanted()
        return self._damage is not None or not all(map(wanted, self._sealed.values()))

    def wanted(self) -> "_Wanted":
        """Which sealed keys the vault shall keep, as known now."""
        return _Wanted(frozenset(self._used), failed_paths(error for _, error in self._errors))

    def report(self) -> LoadReport:
        """The end of the load: of two equal keys the first stays, with the tags of both."""
        keys: dict[bytes, Key] = {}
        loaded = dict.fromkeys(SOURCE_NAMES, 0)
        for slot in self._slots:
            if slot.key is None:
                continue
            first = keys.setdefault(slot.key.public_key, slot.key)
            if first is slot.key:
                loaded[slot.source] += 1
            else:
                keys[first.public_key] = replace(first, tags=tuple(dict.fromkeys((*first.tags, *slot.key.tags))))
                self._warnings.append(f"{slot.key.source_file}: the same key as in {first.source_file}, which is kept")
        failed = [source for source, _ in self._errors]
        return LoadReport(
            keys=tuple(keys.values()),
            errors=tuple(error for _, error in self._errors),
            warnings=tuple(self._warnings),
            counts=tuple(SourceCount(name, loaded[name], failed.count(name)) for name in SOURCE_NAMES),
            opened=len(self.jobs),
            retrievals=tuple(Retrieval(slot.key.origin, slot.seconds) for slot in self._slots if slot.key),
        )

    def _fill(self, slot: _Slot, entry: Entry) -> None:
        if isinstance(entry, RawKeyEntry):
            slot.key = raw_key(entry, self._bls)
            return
        locked = read_locked(entry, self._passwords)
        fingerprint = self._vault.fingerprint(entry.origin, locked.content, locked.password)
        sealed = self._sealed.get(fingerprint)
        known = self._unsealed(sealed, entry.source_file) if sealed else None
        if known is None:
            self.jobs.append(Job(slot, locked, fingerprint))
        else:
            slot.key = replace(known, tags=entry.tags)

    def _unsealed(self, sealed: SealedKey, source_file: Path) -> Key | None:
        try:
            key = self._vault.open(sealed, source_file)
        except SealError as fault:
            self.add_vault_error(f"the sealed key 0x{sealed.public_key.hex()} is not used: {fault.sentence}")
            return None
        self._used.add(sealed.fingerprint)
        return key


@dataclass(frozen=True, slots=True)
class _Wanted:
    """Says of a sealed key whether it stays: it was used, was imported, or its source failed to load this time."""

    used: frozenset[bytes]
    failed: frozenset[Path]

    def __call__(self, sealed: SealedKey) -> bool:
        if sealed.origin is Origin.IMPORTED or sealed.fingerprint in self.used:
            return True
        return is_under(Path(sealed.source), self.failed)

"""Would a client take this EIP-3076 document? One dull reader for each, by the rules of its own source.

Each returns, for every public key, up to where that client would sign nothing afterwards; or raises NotAcceptedError in
the words of its rule. They share nothing but the digging in JSON, so that one's leniency is not another's.
"""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

INT64_MAX = 2**63 - 1
UINT64_MAX = 2**64 - 1
SAFE_INTEGER_MAX = 2**53 - 1
"""The largest integer that a JavaScript number holds exactly."""


class NotAcceptedError(Exception):
    """The client would refuse the document."""


@dataclass(frozen=True)
class Marks:
    """The highest of each kind that a client knows after the import; None where there is none."""

    slot: int | None
    source: int | None
    target: int | None


Accepted = Mapping[str, Marks]
Acceptor = Callable[[bytes, str], Accepted]


def lighthouse(document: bytes, root: str) -> Accepted:
    """validator_client/slashing_protection: src/interchange.rs (serde, unknown members denied, quoted numbers),
    src/slashing_database.rs import_interchange_info (version 5, root, one transaction, keeps the maxima)."""
    whole = _parsed(document)
    _members(whole, {"metadata", "data"}, set())
    _members(whole["metadata"], {"interchange_format_version", "genesis_validators_root"}, set())
    _need(whole["metadata"]["interchange_format_version"] == "5", "UnsupportedVersion")
    _need(_hex(whole["metadata"]["genesis_validators_root"], 32, prefix=True) == root, "GenesisValidatorsMismatch")
    accepted = {}
    for one in _list(whole["data"]):
        _members(one, {"pubkey", "signed_blocks", "signed_attestations"}, set())
        for block in _list(one["signed_blocks"]):
            _members(block, {"slot"}, {"signing_root"})
            _quoted(block["slot"], UINT64_MAX)
            _need("signing_root" not in block or _hex(block["signing_root"], 32, prefix=True) != "", "Hash256")
        for vote in _list(one["signed_attestations"]):
            _members(vote, {"source_epoch", "target_epoch"}, {"signing_root"})
            source, target = _quoted(vote["source_epoch"], UINT64_MAX), _quoted(vote["target_epoch"], UINT64_MAX)
            _need(source <= target, "InvalidAttestation: SourceExceedsTarget")
            _need("signing_root" not in vote or _hex(vote["signing_root"], 32, prefix=True) != "", "Hash256")
        accepted[_hex(one["pubkey"], 48, prefix=True)] = _marks(one)
    return accepted


def prysm(document: bytes, root: str) -> Accepted:
    """validator/slashing-protection-history: format.go (strings throughout), import.go (version "5", root, keys whose
    own records slash are set aside), validator/helpers (ParseUint, 0x is optional, lengths are checked)."""
    whole = _parsed(document)
    metadata = _object(whole.get("metadata"))
    _need(metadata.get("interchange_format_version") == "5", "slashing protection JSON version is not supported")
    _need(_hex(_text(metadata.get("genesis_validators_root")), 32) == root, "genesis validators root does not match")
    accepted = {}
    for one in _list(whole.get("data")):
        roots: dict[int, str] = {}
        for block in _list(one.get("signed_blocks")):
            slot, mark = _quoted(block.get("slot"), UINT64_MAX), _text(block.get("signing_root", ""))
            _need(mark == "" or len(_hex(mark, 32)) == 66, "signing root is of 32 bytes")
            _need(slot not in roots, "a key with two blocks of one slot is set aside")
            roots[slot] = mark
        spans: list[tuple[int, int]] = []
        for vote in _list(one.get("signed_attestations")):
            span = _quoted(vote.get("source_epoch"), UINT64_MAX), _quoted(vote.get("target_epoch"), UINT64_MAX)
            mark = _text(vote.get("signing_root", ""))
            _need(mark == "" or len(_hex(mark, 32)) == 66, "signing root is of 32 bytes")
            for source, target in spans:
                _need(target != span[1], "a key with a double vote is set aside")
                surrounds = (source < span[0] and span[1] < target) or (span[0] < source and target < span[1])
                _need(not surrounds, "a key with a surround vote is set aside")
            spans.append(span)
        accepted[_hex(_text(one.get("pubkey")), 48)] = _marks(one)
    return accepted


def teku(document: bytes, root: str) -> Accepted:
    """data/dataexchange: SlashingProtectionImporter (JSON, version 5, one root for all), SigningHistory (maxima); its
    tests' resources oldMetadata.json (refused), signedBlock.json (refused), format1_complete.json (taken)."""
    try:
        whole = json.loads(document)
    except ValueError:
        raise NotAcceptedError("Json does not appear valid") from None
    _need(isinstance(whole, dict) and "metadata" in whole, "Json does not appear valid")
    version = whole["metadata"].get("interchange_format_version")
    _need(str(version) == "5", "Required version is 5")
    stated = whole["metadata"].get("genesis_validators_root")
    _need(stated is None or stated == root, "the genesis validators root did not match")
    accepted = {}
    for one in _list(whole.get("data")):
        for block in _list(one.get("signed_blocks")):
            _quoted(block.get("slot"), UINT64_MAX)
        for vote in _list(one.get("signed_attestations")):
            _quoted(vote.get("source_epoch"), UINT64_MAX)
            _quoted(vote.get("target_epoch"), UINT64_MAX)
        accepted[_hex(_text(one.get("pubkey")), 48)] = _marks(one)
    return accepted


def nimbus(document: bytes, root: str) -> Accepted:
    """beacon_chain/validators/slashing_protection_common.nim (SPDIR: every number a string, roots with 0x) and
    slashing_protection_v2.nim (signed 64 bits in SQLite; another root ends it: dossier 3.1)."""
    whole = _parsed(document)
    metadata = _object(whole.get("metadata"))
    _need(metadata.get("interchange_format_version") == "5", "unsupported slashing protection interchange version")
    _need(_hex(metadata.get("genesis_validators_root"), 32, prefix=True) == root, "genesis validators root differs")
    accepted = {}
    for one in _list(whole.get("data")):
        _members(one, {"pubkey", "signed_blocks", "signed_attestations"}, set(one))
        for record in (*_list(one["signed_blocks"]), *_list(one["signed_attestations"])):
            for name in record.keys() & {"slot", "source_epoch", "target_epoch"}:
                _quoted(record[name], INT64_MAX)
            if "signing_root" in record:
                _hex(record["signing_root"], 32, prefix=True)
        accepted[_hex(one["pubkey"], 48, prefix=True)] = _marks(one)
    return accepted


def lodestar(document: bytes, root: str) -> Accepted:
    """packages/validator/src/slashingProtection/interchange: parseInterchange.ts (version "5" alone today), formats/
    (numbers pass through a JavaScript number), index.ts (root)."""
    whole = _parsed(document)
    metadata = _object(whole.get("metadata"))
    _need(metadata.get("interchange_format_version") == "5", "UNSUPPORTED_VERSION")
    _need(_hex(metadata.get("genesis_validators_root"), 32) == root, "GENESIS_VALIDATOR_MISMATCH")
    accepted = {}
    for one in _list(whole.get("data")):
        for record in (*_list(one.get("signed_blocks")), *_list(one.get("signed_attestations"))):
            for name in record.keys() & {"slot", "source_epoch", "target_epoch"}:
                _quoted(record[name], SAFE_INTEGER_MAX)
            if record.get("signing_root") is not None:
                _hex(record["signing_root"], 32)
        accepted[_hex(one.get("pubkey"), 48)] = _marks(one)
    return accepted


def web3signer(document: bytes, root: str) -> Accepted:
    """slashing-protection/.../interchange/InterchangeV5Importer.java and model/ (a strict mapper: unknown members fail,
    version is "5", root is the database's); a key is heard only in lower case with 0x (web3signer.md 2.10, 4.2)."""
    whole = _parsed(document)
    _members(whole["metadata"], {"interchange_format_version", "genesis_validators_root"}, set())
    _need(whole["metadata"]["interchange_format_version"] == "5", "Expecting an interchange_format_version of 5")
    _need(whole["metadata"]["genesis_validators_root"] == root, "Supplied genesis validators root does not match")
    accepted = {}
    for one in _list(whole.get("data")):
        _members(one, {"pubkey", "signed_blocks", "signed_attestations"}, set())
        slots, targets = set(), set()
        for block in _list(one["signed_blocks"]):
            _members(block, {"slot"}, {"signing_root"})
            _need((slot := _quoted(block["slot"], UINT64_MAX)) not in slots, "unique_signed_block: rolled back")
            slots.add(slot)
        for vote in _list(one["signed_attestations"]):
            _members(vote, {"source_epoch", "target_epoch"}, {"signing_root"})
            _quoted(vote["source_epoch"], UINT64_MAX)
            target = _quoted(vote["target_epoch"], UINT64_MAX)
            _need(target not in targets, "unique_signed_attestation: rolled back")
            targets.add(target)
        key = _text(one["pubkey"])
        _need(re.fullmatch("0x[0-9a-f]{96}", key) is not None, "the key is not heard: 0x and lower case")
        accepted[key] = _marks(one)
    return accepted


def dirk(document: bytes, root: str) -> Accepted:
    """slashingprotection.go: the root is compared as text, letter for letter; the highest of each kind is kept, though
    for sure only in an empty store (dossier 1.4)."""
    whole = _parsed(document)
    metadata = _object(whole.get("metadata"))
    _need(metadata.get("interchange_format_version") == "5", "unsupported interchange format version")
    _need(metadata.get("genesis_validators_root") == root, "genesis validators root does not match, as text")
    accepted = {}
    for one in _list(whole.get("data")):
        for record in (*_list(one.get("signed_blocks", [])), *_list(one.get("signed_attestations", []))):
            for name in record.keys() & {"slot", "source_epoch", "target_epoch"}:
                _quoted(record[name], INT64_MAX)
        accepted[_hex(one.get("pubkey"), 48, prefix=True)] = _marks(one)
    return accepted


ACCEPTORS: dict[str, Acceptor] = {
    each.__name__: each for each in (lighthouse, prysm, teku, nimbus, lodestar, web3signer, dirk)
}


def _parsed(document: bytes) -> dict[str, Any]:
    try:
        return _object(json.loads(document))
    except ValueError as error:
        raise NotAcceptedError(f"no JSON: {error}") from None


def _object(value: Any) -> dict[str, Any]:
    _need(isinstance(value, dict), "an object is missing")
    return value


def _list(value: Any) -> list[Any]:
    _need(isinstance(value, list), "a list is missing")
    return value


def _text(value: Any) -> str:
    _need(isinstance(value, str), f"{value!r} is no string")
    return value


def _members(value: Any, needed: set[str], allowed: set[str]) -> None:
    _need(needed <= _object(value).keys() <= needed | allowed, f"members {sorted(value)}, not {sorted(needed)}")


def _quoted(value: Any, highest: int) -> int:
    _need(re.fullmatch("0|[1-9][0-9]*", _text(value)) is not None, f"{value!r} is no number in a string")
    _need(int(value) <= highest, f"{value} is too large")
    return int(value)


def _hex(value: Any, length: int, *, prefix: bool = False) -> str:
    digits = _text(value).removeprefix("0x")
    _need(re.fullmatch(f"[0-9a-fA-F]{{{2 * length}}}", digits) is not None, f"{value!r} is not {length} bytes")
    _need(not prefix or value.startswith("0x"), f"{value!r} has no 0x")
    return "0x" + digits.lower()


def _marks(one: dict[str, Any]) -> Marks:
    votes = one.get("signed_attestations") or []
    return Marks(
        max((int(block["slot"]) for block in one.get("signed_blocks") or []), default=None),
        max((int(vote["source_epoch"]) for vote in votes), default=None),
        max((int(vote["target_epoch"]) for vote in votes), default=None),
    )


def _need(condition: bool, words: str) -> None:
    if not condition:
        raise NotAcceptedError(words)

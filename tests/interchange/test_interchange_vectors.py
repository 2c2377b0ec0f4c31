"""Documents and verdicts made by others: EIP-3076's own suite, and files found in clients."""

import json
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from interchange import (
    InterchangeError,
    MalformedError,
    SchemaError,
    check,
    merge,
    minify,
    parse,
    read_interchange,
    serialise,
)
from interchange.check import BackwardVote, DoubleBlock, SurroundVote
from interchange.minify import Maxima, gather_maxima

CLIENT_FILES = {
    "eip/eip-3076-example.json": 1,
    "lodestar/lodestar-1.5.1-v5.json": 8,
    "teku/format1_complete.json": 1,
    "teku/format2_minimal.json": 1,
    "teku/format2_minimal_different_genesis_validators_root.json": 1,
    "web3signer/conflictingBlocks.json": 1,
    "web3signer/duplicateAttestation.json": 1,
    "web3signer/duplicateBlocks.json": 1,
    "web3signer/emptyDataArray.json": 0,
    "web3signer/invalidAttestationContent.json": 1,
    "web3signer/multipleNullSigningRootAttestation.json": 1,
    "web3signer/multipleNullSigningRootBlock.json": 1,
    "web3signer/singleValidAttestation.json": 1,
    "web3signer/singleValidBlock.json": 1,
    "web3signer/slashingImport.json": 1,
    "web3signer/slashingImport_two_entries.json": 2,
}
"""File and number of its validators."""

REFUSED_FILES = {
    "lodestar/lodestar-1.5.1-cli-raw.json": "$.metadata.interchange_format_version",
    "teku/emptySlashingData.json": "$.metadata",
    "teku/invalid_json.json": "$.data[0].pubkey",
    "teku/metadata.json": "$",
    "teku/minimal_invalidKey.json": "$.data[0].pubkey",
    "teku/oldMetadata.json": "$.metadata.interchange_format_version",
    "teku/shouldExportSlashProtection.json": "$.metadata",
    "teku/signedAttestation.json": "$",
    "teku/signedBlock.json": "$",
    "web3signer/dataFieldNotArray.json": "$.data",
    "web3signer/errorInSecondBlock.json": "$.data[0].signed_blocks[1]",
    "web3signer/errorInSecondValidator.json": "$.data[1].signed_attestations[0]",
    "web3signer/missingDataField.json": "$",
    "web3signer/missingPublicKey.json": "$.data[0]",
}
"""File and the path of its first fault.

Web3Signer skips what it cannot read and goes on (a partial reading does so too); EIP-3076 wants a whole file."""


@dataclass
class MinimalSigner:
    """The dullest minimal database: imports by merging, refuses at or below its maxima."""

    maxima: dict[bytes, Maxima] = field(default_factory=dict)

    def import_document(self, document) -> None:
        for pubkey, maxima in gather_maxima(document.validators).items():
            self.maxima[pubkey] = self.maxima.get(pubkey, Maxima()).raised_to(maxima)

    def sign_block(self, pubkey: bytes, slot: int) -> bool:
        known = self.maxima.get(pubkey, Maxima())
        if known.slot is not None and slot <= known.slot:
            return False
        self.maxima[pubkey] = known.raised_to(Maxima(slot=slot))
        return True

    def sign_vote(self, pubkey: bytes, source: int, target: int) -> bool:
        known = self.maxima.get(pubkey, Maxima())
        if source > target or (
            known.target_epoch is not None and (source < known.source_epoch or target <= known.target_epoch)
        ):
            return False
        self.maxima[pubkey] = known.raised_to(Maxima(None, source, target))
        return True


def eip_cases(vectors: Path) -> list[dict]:
    files = sorted((vectors / "eip3076/tests/generated").glob("*.json"))
    assert len(files) == 38
    return [json.loads(file.read_text()) for file in files]


def test_the_merged_maxima_give_every_verdict_of_a_minimal_database(vectors: Path) -> None:
    verdicts = 0
    for case in eip_cases(vectors):
        signer = MinimalSigner()
        for step in case["steps"]:
            document = document_of(step)
            root = document.metadata.genesis_validators_root
            if "0x" + root.hex() == case["genesis_validators_root"]:
                signer.import_document(document)
            else:
                assert step["should_succeed"] is False
            for block in step["blocks"]:
                signed = signer.sign_block(bytes.fromhex(block["pubkey"][2:]), int(block["slot"]))
                assert signed is block["should_succeed"], (case["name"], block)
            for vote in step["attestations"]:
                pubkey = bytes.fromhex(vote["pubkey"][2:])
                signed = signer.sign_vote(pubkey, int(vote["source_epoch"]), int(vote["target_epoch"]))
                assert signed is vote["should_succeed"], (case["name"], vote)
            verdicts += len(step["blocks"]) + len(step["attestations"])
    assert verdicts == 150


def test_importing_a_minified_document_gives_the_same_maxima(vectors: Path) -> None:
    for case in eip_cases(vectors):
        for step in case["steps"]:
            document = document_of(step)
            assert gather_maxima(minify(document.validators)) == gather_maxima(document.validators), case["name"]


def test_check_agrees_with_every_first_step_on_whether_it_is_slashable(vectors: Path) -> None:
    """Later steps count as slashable against the steps before them, which one document alone cannot show."""
    flags = set()
    for case in eip_cases(vectors):
        step = case["steps"][0]
        findings = check(lambda step=step: parse([json.dumps(step["interchange"]).encode()]))
        assert bool(findings) is step["contains_slashable_data"], (case["name"], findings)
        flags.add(step["contains_slashable_data"])
    assert flags == {True, False}


@pytest.mark.parametrize(("name", "validators"), CLIENT_FILES.items())
def test_a_clients_file_is_read_and_written_again_without_loss(vectors: Path, name: str, validators: int) -> None:
    text = (vectors / "interchange-clients" / name).read_bytes()
    document = read_interchange([text])
    assert len(document.validators) == validators
    again = read_interchange(serialise(document.metadata, document.validators))
    assert again == document


@pytest.mark.parametrize(("name", "path"), REFUSED_FILES.items())
def test_a_file_that_is_not_of_version_5_is_refused_with_the_path_of_its_fault(
    vectors: Path, name: str, path: str
) -> None:
    with pytest.raises(SchemaError) as caught:
        read_interchange([(vectors / "interchange-clients" / name).read_bytes()])
    assert caught.value.path == path


def test_a_file_that_was_cut_off_is_refused_by_a_partial_reading_too(vectors: Path) -> None:
    with pytest.raises(MalformedError):
        list(parse([(vectors / "interchange-clients/teku/invalid_json.json").read_bytes()], partial=True))


def test_no_file_of_the_clients_is_left_out(vectors: Path) -> None:
    directory = vectors / "interchange-clients"
    files = {str(file.relative_to(directory)) for file in directory.rglob("*.json")}
    assert files == CLIENT_FILES.keys() | REFUSED_FILES.keys()


def test_web3signers_acceptance_files_are_the_same_ones(vectors: Path) -> None:
    directory = vectors / "web3signer-acceptance/resources/slashing-protection/interchange"
    files = sorted(directory.glob("*.json"))
    assert files
    for file in files:
        twin = vectors / "interchange-clients/web3signer" / file.name
        assert outcome(file) == outcome(twin), file.name


def test_a_partial_reading_keeps_what_web3signer_keeps(vectors: Path) -> None:
    file = vectors / "interchange-clients/web3signer/errorInSecondValidator.json"
    events = list(parse([file.read_bytes()], partial=True))
    assert [type(event).__name__ for event in events] == ["Metadata", "ValidatorHistory", "Fault", "ValidatorHistory"]
    assert events[2].pubkey.hex().endswith("ee")


@pytest.mark.parametrize(
    ("name", "kind"), [("conflictingBlocks", DoubleBlock), ("invalidAttestationContent", BackwardVote)]
)
def test_check_names_the_conflict_in_a_clients_file(vectors: Path, name: str, kind: type) -> None:
    text = (vectors / f"interchange-clients/web3signer/{name}.json").read_bytes()
    (finding,) = check(lambda: parse([text]))
    assert isinstance(finding, kind)


def test_check_names_both_votes_of_a_surround(vectors: Path) -> None:
    name = "single_validator_slashable_attestations_surrounds_existing"
    (case,) = [case for case in eip_cases(vectors) if case["name"] == name]
    text = json.dumps(case["steps"][0]["interchange"]).encode()
    (finding,) = [finding for finding in check(lambda: parse([text])) if isinstance(finding, SurroundVote)]
    assert finding.surrounding.source_epoch < finding.surrounded.source_epoch
    assert finding.surrounding.target_epoch > finding.surrounded.target_epoch


def test_merging_the_documents_of_a_case_is_importing_them_one_by_one(vectors: Path) -> None:
    several = [case for case in eip_cases(vectors) if len(case["steps"]) > 1]
    assert several
    for case in several:
        signer = MinimalSigner()
        texts = [json.dumps(step["interchange"]).encode() for step in case["steps"]]
        for text in texts:
            signer.import_document(read_interchange([text]))
        merged = merge(parse([text]) for text in texts)
        assert gather_maxima(merged.validators) == signer.maxima, case["name"]


def document_of(step: dict):
    return read_interchange([json.dumps(step["interchange"]).encode()])


def outcome(file: Path) -> object:
    try:
        return read_interchange([file.read_bytes()])
    except InterchangeError as error:
        return str(error)

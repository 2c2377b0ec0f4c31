"""Web3Signer's key configuration files: `*.yaml` and `*.yml` of one directory, several documents in each.

Unknown properties are ignored, enumerations are taken in any case, relative paths start at the directory: all as
Web3Signer does (its `SignerLoader`, `FileRawSigningMetadata`, `FileKeyStoreMetadata`). `tags` is a property of our own:
a list of names, which Web3Signer ignores.
"""

from pathlib import Path

from signer.crypto.bls import SECRET_KEY_BYTES
from signer.crypto.secret import Secret
from signer.durable import read_regular
from signer.errors import KeyFileError, KeyFormatError, UnreadableFileError
from signer.keys.directory import files_ending
from signer.keys.key import Origin
from signer.keys.sources import Entry, Findings, KeystoreEntry, RawKeyEntry
from signer.keys.tags import MAX_TAGS, TAG_RULE, Tag, is_tag
from signer.keys.yaml_documents import Document, flat_documents

LIMIT_BYTES = 104_857_600
"""Web3Signer's `--key-store-config-file-max-size`."""

_UNSUPPORTED = frozenset({"hashicorp", "azure-secret", "azure-key", "aws-secret", "aws-kms"})
"""Web3Signer's other types, which this version does not load."""


def read_key_files(directory: Path) -> Findings:
    """Every key the directory's files name; a file that cannot be read is an error among the findings."""
    findings = Findings("config-files-loading")
    try:
        files = files_ending(directory, (".yaml", ".yml"))
    except KeyFileError as fault:
        findings.errors.append(fault)
        return findings
    for file in files:
        _read_file(file, findings)
    return findings


def read_key_file(file: Path) -> Findings:
    """Every key that one file names; that it cannot be read is an error among the findings."""
    findings = Findings("config-files-loading")
    _read_file(file, findings)
    return findings


def _read_file(file: Path, findings: Findings) -> None:
    try:
        documents = list(flat_documents(read_regular(file, limit_bytes=LIMIT_BYTES)))
    except UnreadableFileError as fault:
        findings.errors.append(KeyFileError(f"the file cannot be read: {fault.reason}", file=str(file)))
        return
    except KeyFormatError as fault:
        findings.errors.append(KeyFileError(fault.sentence, file=str(file)))
        return
    if not documents:
        findings.errors.append(KeyFileError("the file is empty: it names no key", file=str(file)))
    for number, document in enumerate(documents, start=1):
        _read_document(file, document, findings, place=f"document {number}: " if len(documents) > 1 else "")


def _read_document(file: Path, document: Document, findings: Findings, *, place: str) -> None:
    try:
        entry = _entry(file, document)
    except KeyFormatError as fault:
        findings.errors.append(KeyFileError(f"{place}{fault.sentence}", file=str(file)))
        return
    if entry is None:
        findings.warnings.append(f"{file}: {place}skipped, its keyType is SECP256K1 and this signer serves BLS keys")
    else:
        findings.entries.append(entry)


def _entry(file: Path, document: Document) -> Entry | None:
    """The entry, or None for a key of another curve. Raises KeyFormatError."""
    kind = _required(document, "type").lower()
    if kind in _UNSUPPORTED:
        raise KeyFormatError(f"keys of type {kind} are not supported yet; use file-raw or file-keystore")
    if kind not in {"file-raw", "file-keystore"}:
        # Never repeat the value: what was pasted in the wrong line may be a private key.
        raise KeyFormatError("unknown type; known are file-raw and file-keystore")
    match (document.get("keyType") or "BLS").upper():
        case "BLS":
            return _raw_key(file, document) if kind == "file-raw" else _keystore(file, document)
        case "SECP256K1":
            return None
        case _:
            raise KeyFormatError("unknown keyType; known are BLS and SECP256K1")


def _raw_key(file: Path, document: Document) -> RawKeyEntry:
    return RawKeyEntry(file, Secret(_private_key(_required(document, "privateKey"))), _tags(document))


def _keystore(file: Path, document: Document) -> KeystoreEntry:
    return KeystoreEntry(
        source_file=file,
        keystore_file=file.parent / _required(document, "keystoreFile"),
        password_file=file.parent / _required(document, "keystorePasswordFile"),
        origin=Origin.KEYSTORE_FILE,
        password_is_first_line=True,
        tags=_tags(document),
    )


def _tags(document: Document) -> tuple[Tag, ...]:
    """A tag that is not understood might be a frozen one, so its key is not served. Nothing is repeated, as above."""
    texts = document.lists.get("tags", ())
    if document.get("tags") is not None or texts is None:
        raise KeyFormatError("tags is a list: [one, other]")
    if len(texts) > MAX_TAGS:
        raise KeyFormatError(f"tags has {len(texts)} entries; a document names at most {MAX_TAGS}")
    for number, text in enumerate(texts, start=1):
        if not is_tag(text):
            raise KeyFormatError(f"tags: number {number} is no tag: {TAG_RULE}")
    return tuple(dict.fromkeys(map(Tag, texts)))


def _private_key(text: str) -> bytes:
    digits = text.strip().removeprefix("0x").removeprefix("0X")
    if len(digits) != 2 * SECRET_KEY_BYTES:
        raise KeyFormatError(f"privateKey has {len(digits)} hexadecimal digits, not {2 * SECRET_KEY_BYTES}")
    try:
        key = bytes.fromhex(digits)
    except ValueError:
        raise KeyFormatError("privateKey has other characters than hexadecimal digits") from None  # it quotes nothing
    if len(key) != SECRET_KEY_BYTES:  # fromhex skips white space between digits
        raise KeyFormatError("privateKey has other characters than hexadecimal digits")
    return key


def _required(document: Document, name: str) -> str:
    value = document.get(name)
    if not value:
        raise KeyFormatError(f"{name} is missing")
    return value

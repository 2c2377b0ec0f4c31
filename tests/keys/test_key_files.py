"""Web3Signer's YAML files and bulk directories: what they name, and what is wrong with them."""

import os
import re
from pathlib import Path

import pytest

from signer.crypto.secret import Secret
from signer.keys.bulk import read_bulk_directory
from signer.keys.key import Origin
from signer.keys.key_files import read_key_files
from signer.keys.sources import BulkDirectory, KeystoreEntry, RawKeyEntry

RAW = "25295f0d1d592a90b333e26e85149708208e9f8e8bc18f6c77bd62f8ad7a6866"


def entries_of(directory: Path, text: str) -> list[RawKeyEntry | KeystoreEntry]:
    (directory / "key.yaml").write_text(text)
    findings = read_key_files(directory)
    assert findings.errors == []
    return findings.entries


def fault_of(directory: Path, text: str | bytes) -> str:
    file = directory / "key.yaml"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    findings = read_key_files(directory)
    assert findings.entries == []
    (error,) = findings.errors
    assert error.file == str(file)
    return error.sentence


@pytest.mark.parametrize(
    "text",
    [
        f'type: "file-raw"\nkeyType: "BLS"\nprivateKey: "0x{RAW}"\n',
        f"type: file-raw\nprivateKey: 0x{RAW}\n",  # YAML 1.1 would make a number of it
        f"type: file-raw\nprivateKey: {RAW}\n",
        f"type: file-raw\nprivateKey: '{RAW.upper()}'\nkeyType: bls\n",
        f"TYPE: ignored\ntype: FILE-RAW\nunknown: [1, {{a: b}}]\nother: {{x: [y]}}\nprivateKey: 0X{RAW}\nlast: x\n",
        f"---\n# a comment\ntype: file-raw\nprivateKey: {RAW}\n...\n",
        f'{{"type": "file-raw", "privateKey": "0x{RAW}"}}',
        f"type: file-raw\nprivateKey: {RAW}\nkeyType: ~\n",
        f"\ufefftype: file-raw\nprivateKey: {RAW}\n",
        f"type: file-raw\r\nprivateKey: {RAW}\r\n",
    ],
)
def test_a_raw_key_is_read_in_every_spelling(tmp_path: Path, text: str) -> None:
    (entry,) = entries_of(tmp_path, text)
    assert entry == RawKeyEntry(tmp_path / "key.yaml", Secret(bytes.fromhex(RAW)))


def test_an_unquoted_key_of_digits_keeps_its_zeros(tmp_path: Path) -> None:
    (entry,) = entries_of(tmp_path, f"type: file-raw\nprivateKey: {'0' * 60}1234\n")
    assert isinstance(entry, RawKeyEntry)
    assert entry.private_key.reveal() == bytes(30) + b"\x12\x34"


def test_relative_paths_start_at_the_directory_and_absolute_ones_stay(tmp_path: Path) -> None:
    text = "type: file-keystore\nkeystoreFile: deep/../k.json\nkeystorePasswordFile: /run/secrets/p\n"
    (entry,) = entries_of(tmp_path, text)
    assert entry == KeystoreEntry(
        source_file=tmp_path / "key.yaml",
        keystore_file=tmp_path / "deep" / ".." / "k.json",
        password_file=Path("/run/secrets/p"),
        origin=Origin.KEYSTORE_FILE,
        password_is_first_line=True,
    )


def test_a_file_may_hold_several_documents_good_bad_and_empty(tmp_path: Path) -> None:
    (tmp_path / "key.yaml").write_text(
        f"type: file-raw\nprivateKey: {RAW}\n---\n---\ntype: file-raw\n---\n"
        "type: file-keystore\nkeystoreFile: k\nkeystorePasswordFile: p\n---\nkeyType: SECP256K1\ntype: file-raw\n"
    )
    findings = read_key_files(tmp_path)
    assert [type(entry) for entry in findings.entries] == [RawKeyEntry, KeystoreEntry]
    assert [error.sentence for error in findings.errors] == ["document 2: privateKey is missing"]
    (warning,) = findings.warnings
    assert "document 4: skipped, its keyType is SECP256K1" in warning


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "is empty: it names no key"),
        ("# nothing\n---\n", "is empty: it names no key"),
        ("privateKey: x", "type is missing"),
        ("type: file-raw", "privateKey is missing"),
        ("type: file-raw\nprivateKey: ''", "privateKey is missing"),
        ("type: file-raw\nprivateKey: [a]", "privateKey is missing"),
        ("type: file-raw\nprivateKey: 0xhunter2", "privateKey has 7 hexadecimal digits, not 64"),
        (f"type: file-raw\nprivateKey: {RAW[:-1]}g", "other characters than hexadecimal digits"),
        (f"type: file-raw\nprivateKey: '{RAW[:-2]}  '", "privateKey has 62 hexadecimal digits"),
        (f"type: file-raw\nprivateKey: '{RAW[:30]}  {RAW[32:]}'", "other characters than hexadecimal digits"),
        ("type: file-keystore\nkeystorePasswordFile: p", "keystoreFile is missing"),
        ("type: file-keystore\nkeystoreFile: k", "keystorePasswordFile is missing"),
        ("type: hashicorp\ntoken: hunter2", "keys of type hashicorp are not supported yet"),
        ("type: aws-kms", "keys of type aws-kms are not supported yet"),
        ("type: yubihsm", "unknown type; known are file-raw and file-keystore"),
        ("type: hunter2", "unknown type; known are file-raw and file-keystore"),
        (f"type: {RAW}", "unknown type; known are file-raw and file-keystore"),
        (f"type: file-raw\nkeyType: ED25519\nprivateKey: {RAW}", "unknown keyType"),
        ("- type: file-raw", "line 1: a list where"),
        ("hunter2", "line 1: bare text where"),
        ("type: file-raw\ntype: file-raw", "line 2: a name that was given before"),
        ("type: &a file-raw\nprivateKey: *a", "line 2: aliases are not used"),
        ("? [a]\n: b", "line 1: a list or mapping where a name should be"),
        ("type: file-raw\nprivateKey: 'hunter2", "line [23]: this is not YAML"),
        ("type: file-raw\n  privateKey: hunter2\n bad", "line [23]: this is not YAML"),
        ("\tprivateKey: hunter2", "line 1: this is not YAML"),
        (b"\xff\xfe\x00", "this is not YAML"),
        (b"type: \x00hunter2", "this is not YAML"),
        ("[" * 100_000, "line 1: a list where"),
        ("type: " + "[" * 100_000, "nested more than 16 deep"),
    ],
)
def test_a_malformed_file_is_one_error_that_quotes_no_secret(tmp_path: Path, text: str | bytes, reason: str) -> None:
    sentence = fault_of(tmp_path, text)
    assert re.search(reason, sentence)
    assert "hunter2" not in sentence
    assert RAW[:20] not in sentence


@pytest.mark.parametrize(
    ("text", "tags"),
    [
        ("", ()),
        ("tags:\n", ()),
        ("tags: []\n", ()),
        ("tags: [lido, client:paid-2, lido]\n", ("lido", "client:paid-2")),
        ("tags:\n  - 12\n  - 'null'\n  - 0x12\n", ("12", "null", "0x12")),
        ("other: [Not A Tag]\ntags: [a]\nmore: {x: [b]}\n", ("a",)),
    ],
)
def test_a_document_names_tags_of_its_key(tmp_path: Path, text: str, tags: tuple[str, ...]) -> None:
    (entry,) = entries_of(tmp_path, f"type: file-raw\n{text}privateKey: {RAW}\n")
    assert entry.tags == tags
    files = "type: file-keystore\nkeystoreFile: a\nkeystorePasswordFile: b\n"
    (entry,) = entries_of(tmp_path, files + text)
    assert entry.tags == tags


@pytest.mark.parametrize(
    "text",
    [
        "lido",
        "'null'",
        "{a: b}",
        "[[a]]",
        "[a, {b: c}, d]",
        f"[{RAW}]",
        "[Lido]",
        "[a, ~x]",
        "['']",
        "[a b]",
        str(["a"] * 65),
    ],
)
def test_a_key_whose_tags_are_not_understood_is_not_served(tmp_path: Path, text: str) -> None:
    sentence = fault_of(tmp_path, f"type: file-raw\ntags: {text}\nprivateKey: {'1' * 64}\n")
    assert sentence.startswith("tags")
    assert RAW not in sentence


def test_an_alias_bomb_is_refused_at_its_first_alias(tmp_path: Path) -> None:
    lines = ["a0: &a0 [x,x,x,x,x,x,x,x,x]"]
    lines += [f"a{n}: &a{n} [{','.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 30)]
    assert "aliases" in fault_of(tmp_path, "\n".join(lines))


def test_only_visible_yaml_files_of_the_directory_itself_are_read_in_order(tmp_path: Path) -> None:
    for name in ("b.yaml", "a.yml", ".hidden.yaml", "c.json", "d.yaml.bak", "E.YAML"):
        (tmp_path / name).write_text(f"type: file-raw\nprivateKey: {RAW}\n")
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "f.yaml").write_text("type: broken")
    findings = read_key_files(tmp_path)
    assert [entry.source_file.name for entry in findings.entries] == ["a.yml", "b.yaml"]
    assert findings.errors == []


def test_what_is_no_readable_file_is_one_error_each(tmp_path: Path) -> None:
    (tmp_path / "a-directory.yaml").mkdir()
    (tmp_path / "b-loop.yaml").symlink_to(tmp_path / "b-loop.yaml")
    (tmp_path / "c-dangling.yaml").symlink_to(tmp_path / "nowhere")
    os.mkfifo(tmp_path / "d-pipe.yaml")
    (tmp_path / "e-good.yaml").write_text(f"type: file-raw\nprivateKey: {RAW}\n")
    findings = read_key_files(tmp_path)
    assert len(findings.entries) == 1
    assert [error.sentence.split(": ")[1] for error in findings.errors] == [
        "it is a directory",
        "Too many levels of symbolic links",
        "No such file or directory",
        "it is not a regular file",
    ]


def test_a_missing_directory_is_one_error(tmp_path: Path) -> None:
    (error,) = read_key_files(tmp_path / "gone").errors
    assert (error.file, error.sentence) == (
        str(tmp_path / "gone"),
        "the directory cannot be listed: No such file or directory",
    )


def test_bulk_keystores_take_the_password_file_of_their_name(tmp_path: Path) -> None:
    for name in ("keystores", "passwords"):
        (tmp_path / name).mkdir()
    for name in ("b.json", "a.json", ".hidden.json", "keystore.backup", "m.1.json"):
        (tmp_path / "keystores" / name).write_text("{}")
    findings = read_bulk_directory(BulkDirectory(tmp_path / "keystores", tmp_path / "passwords"))
    assert [(entry.keystore_file.name, entry.password_file.name) for entry in findings.entries] == [
        ("a.json", "a.txt"),
        ("b.json", "b.txt"),
        ("m.1.json", "m.1.txt"),
    ]
    assert all(
        not entry.password_is_first_line and entry.source_file == entry.keystore_file for entry in findings.entries
    )


def test_bulk_keystores_may_share_one_password_file(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text("{}")
    (tmp_path / "password").write_text("pass")
    findings = read_bulk_directory(BulkDirectory(tmp_path, tmp_path / "password"))
    assert [entry.password_file for entry in findings.entries] == [tmp_path / "password"]


def test_missing_passwords_are_one_error_of_the_whole_directory(tmp_path: Path) -> None:
    for number in range(5):
        (tmp_path / f"{number}.json").write_text("{}")
    findings = read_bulk_directory(BulkDirectory(tmp_path, tmp_path / "nowhere"))
    assert findings.entries == []
    (error,) = findings.errors
    assert error.file == str(tmp_path)
    assert "nowhere cannot be read: No such file" in error.sentence

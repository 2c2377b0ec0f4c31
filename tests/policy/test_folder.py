"""A policy's folder: what its manifest says becomes a pack, and what it should not say is told with its line."""

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from signer.errors import ConfigError, UnreadableFileError
from signer.policy.folder import pack_folder, read_folder
from signer.policy.grants import HostFunction
from signer.policy.limits import DEFAULT_LIMITS, Limits
from signer.policy.manifest_file import Language, read_manifest_file
from signer.policy.pack import Kind, Manifest, Pack, read_pack, version_of, write_pack

PAGE = Path(__file__).resolve().parents[2] / "policies" / "README.md"
MODULE = b"\0asm\x01\0\0\0"


def folder_with(directory: Path, **files: str | bytes) -> Path:
    """A folder named `treasury`; `policy_wasm=` is the file policy.wasm."""
    folder = directory / "treasury"
    folder.mkdir()
    for name, content in files.items():
        data = content.encode() if isinstance(content, str) else content
        (folder / name.replace("_", ".")).write_bytes(data)
    return folder


def test_the_manifest_of_the_page_says_what_the_page_says() -> None:
    examples = re.findall(r"```yaml\n(.*?)```", PAGE.read_text(), re.DOTALL)
    written = read_manifest_file(examples[-1], name="manifest.yaml")
    assert written.manifest.grants.functions == {HostFunction.LIST_CONTAINS, HostFunction.LOG}
    assert written.manifest.grants.counters == {"eth:spend"}
    assert written.manifest.grants.lists == {"receivers"}
    assert written.manifest.limits == Limits(500_000, 1 << 20, 0.05)
    assert (written.manifest.name, written.manifest.kind, written.language) == ("treasury", Kind.MODULE, Language.RUST)
    assert (written.source, written.content, written.cases, written.data) == (
        "policy.rs", "policy.wasm", "cases.yaml", "",
    )  # fmt: skip


def test_a_folder_becomes_a_pack_that_can_be_read_again(tmp_path: Path) -> None:
    manifest = """
version: 1
name: big-payments
build: rego
source: rules/main.rego
module: built/main.wasm
data: data.json
entry_point: treasury/verdict
functions: [log, keccak256]
lists: [b, a]
"""
    directory = folder_with(tmp_path, manifest_yaml=manifest, data_json="{}")
    (directory / "built").mkdir()
    (directory / "built" / "main.wasm").write_bytes(MODULE)
    folder = read_folder(directory)
    assert (folder.language, folder.source) == (Language.REGO, directory / "rules" / "main.rego")
    pack = pack_folder(folder)
    assert pack == Pack(
        Manifest(
            name="big-payments",
            kind=Kind.MODULE,
            functions=(HostFunction.KECCAK256, HostFunction.LOG),
            lists=("a", "b"),
            entry_point="treasury/verdict",
        ),
        MODULE,
        b"{}",
    )
    assert read_pack(write_pack(pack)) == pack
    assert pack.manifest.limits == DEFAULT_LIMITS


def test_the_same_files_make_the_same_version_wherever_they_are(tmp_path: Path) -> None:
    versions = set()
    for place in ("here", "there"):
        (tmp_path / place).mkdir()
        directory = folder_with(
            tmp_path / place, manifest_yaml="version: 1\nname: a\nbuild: c\n", policy_wasm=MODULE, cases_yaml=place
        )
        versions.add(version_of(write_pack(pack_folder(read_folder(directory)))))
    assert len(versions) == 1


@pytest.mark.parametrize(
    "files",
    [
        {"policy_yaml": "rules"},
        {"policy_yaml": "rules", "manifest_yaml": "{version: 1, name: treasury, build: yaml}"},
        {"policy_yaml": "rules", "manifest_yaml": "{version: 1, name: treasury, kind: rules}"},
        {"other_yaml": "rules", "manifest_yaml": "{version: 1, name: treasury, build: yaml, source: other.yaml}"},
    ],
    ids=["no manifest", "build", "kind", "another source"],
)
def test_rules_need_little_to_be_said(tmp_path: Path, files: dict[str, str]) -> None:
    folder = read_folder(folder_with(tmp_path, **files))
    assert folder.language is Language.YAML
    assert pack_folder(folder) == Pack(Manifest(name="treasury", kind=Kind.RULES), b"rules")
    read_pack(write_pack(pack_folder(folder)))


@pytest.mark.parametrize(
    ("text", "key", "line"),
    [
        ("name: a\nbuild: c", "version", 1),
        ("version: 2\nname: a\nbuild: c", "version", 1),
        ("version: 1\nbuild: c", "name", 1),
        ("version: 1\nname: a", "build", 1),
        ("version: 1\nname: A\nbuild: c", "name", 2),
        (f"version: 1\nname: {'a' * 65}\nbuild: c", "name", 2),
        ("version: 1\nname: a\nbuild: perl", "build", 3),
        ("version: 1\nname: a\nbuild: c\nkind: rules", "kind", 4),
        ("version: 1\nname: a\nkind: module\nsource: a.go", "source", 4),
        ("version: 1\nname: a\nbuild: c\nentry_point: a/b", "entry_point", 4),
        ("version: 1\nname: a\nbuild: c\ndata: a.json", "data", 4),
        ("version: 1\nname: a\nbuild: yaml\nfuel: 5", "fuel", 4),
        ("version: 1\nname: a\nbuild: yaml\nmodule: a.wasm", "module", 4),
        ("version: 1\nname: a\nbuild: c\nfuel: 0", "fuel", 4),
        ("version: 1\nname: a\nbuild: c\nfuel: 1000000001", "fuel", 4),
        ("version: 1\nname: a\nbuild: c\nmemory_bytes: 65535", "memory_bytes", 4),
        ("version: 1\nname: a\nbuild: c\nwall_milliseconds: 1001", "wall_milliseconds", 4),
        ("version: 1\nname: a\nbuild: c\nfunctions: [clock]", "functions[0]", 4),
        ("version: 1\nname: a\nbuild: c\ncounters: ['a b']", "counters[0]", 4),
        ("version: 1\nname: a\nbuild: c\nlists: []", "lists", 4),
        ("version: 1\nname: a\nbuild: c\nmodules: x", "modules", 4),
        ("version: 1\nname: a\nbuild: c\nsource: ../a.c", "source", 4),
        ("version: 1\nname: a\nbuild: c\nsource: /etc/passwd", "source", 4),
        ("version: 1\nname: a\nbuild: c\nmodule: a/../../b", "module", 4),
        ("version: 1\nname: a\nbuild: c\ncases: a/./b", "cases", 4),
        ("version: 1\nname: a\nbuild: c\nname: b", "name", 4),
        ("- version", "", 1),
    ],
)
def test_a_manifest_that_is_at_fault_is_told_with_its_line(text: str, key: str, line: int) -> None:
    with pytest.raises(ConfigError) as refused:
        read_manifest_file(text, name="manifest.yaml")
    assert (refused.value.key, refused.value.where) == (key, f"manifest.yaml:{line}")
    assert refused.value.remedy


@given(st.text(max_size=200))
def test_any_text_is_a_manifest_or_is_refused(text: str) -> None:
    for written in (text, "version: 1\nname: a\nbuild: rego\n" + text, f"version: 1\nname: a\nbuild: c\nfuel: {text}"):
        try:
            found = read_manifest_file(written, name="manifest.yaml")
        except ConfigError:
            continue
        read_pack(write_pack(Pack(found.manifest, MODULE)))


def test_what_is_not_there_is_told_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="holds no policy") as empty:
        read_folder(tmp_path)
    assert "policy new" in empty.value.remedy
    directory = folder_with(tmp_path, manifest_yaml="version: 1\nname: a\nbuild: c\n")
    with pytest.raises(ConfigError, match=r"policy\.wasm is not there") as unbuilt:
        pack_folder(read_folder(directory))
    assert "policy build" in unbuilt.value.remedy
    (directory / "manifest.yaml").write_bytes(b"\xff")
    with pytest.raises(UnreadableFileError, match="UTF-8"):
        read_folder(directory)
    odd = tmp_path / "Odd Name"
    odd.mkdir()
    (odd / "policy.yaml").touch()
    with pytest.raises(ConfigError, match="cannot be the name"):
        read_folder(odd)

"""From source to module: with the real compilers where they are installed, and what is said where they are not."""

from collections.abc import Callable
from pathlib import Path

import pytest
from policy.compilers import compilers_or_skip

from signer.errors import ConfigError, PolicyBuildError, PolicyToolMissingError
from signer.policy.building import assemblyscript, c, rego, rust, wat
from signer.policy.building.compiler import Built, Source
from signer.policy.building.languages import build_module
from signer.policy.folder import read_folder

RUST = """
static ALLOW: &[u8] = br#"{"verdict":"allow"}"#;
#[no_mangle] pub extern "C" fn holdfast_allocate(n: i32) -> i32 {
    Box::leak(vec![0u8; n as usize].into_boxed_slice()).as_ptr() as i32
}
#[no_mangle] pub extern "C" fn holdfast_evaluate_1(_at: i32, _length: i32) -> i64 {
    (ALLOW.as_ptr() as i64) << 32 | ALLOW.len() as i64
}
"""
C = r"""
#include <stdint.h>
static char room[65536];
static const char allow[] = "{\"verdict\":\"allow\"}";
__attribute__((export_name("holdfast_allocate"))) int32_t allocate(int32_t n) {
    return n <= (int32_t)sizeof room ? (int32_t)room : 0;
}
__attribute__((export_name("holdfast_evaluate_1"))) int64_t evaluate(int32_t at, int32_t length) {
    (void)at, (void)length;
    return ((int64_t)(int32_t)allow << 32) | (sizeof allow - 1);
}
"""
ASSEMBLYSCRIPT = """
export function holdfast_allocate(n: i32): i32 { return i32(heap.alloc(usize(n))); }
export function holdfast_evaluate_1(at: i32, length: i32): i64 {
  if (length < 0) throw new Error("never");
  const allow = String.UTF8.encode('{"verdict":"allow"}');
  return (i64(changetype<usize>(allow)) << 32) | i64(allow.byteLength);
}
"""
WAT = r"""
(module (memory (export "memory") 2) (data (i32.const 16) "{\"verdict\":\"allow\"}")
  (func (export "holdfast_allocate") (param i32) (result i32) (i32.const 1024))
  (func (export "holdfast_evaluate_1") (param i32 i32) (result i64)
    (i64.or (i64.shl (i64.const 16) (i64.const 32)) (i64.const 19))))
"""
REGO = """
package sample

import rego.v1

default verdict := {"verdict": "deny", "code": "NO", "message": "no"}

verdict := {"verdict": "allow"} if not input.opaque
"""

LANGUAGES = [
    pytest.param(rust.build, "policy.rs", RUST, "let x: u8 = 300;", id="rust"),
    pytest.param(c.build, "policy.c", C, "int x = ;", id="c"),
    pytest.param(assemblyscript.build, "policy.ts", ASSEMBLYSCRIPT, "let x: u8 = ;", id="assemblyscript"),
    pytest.param(wat.build, "policy.wat", WAT, "(modul", id="wat"),
    pytest.param(rego.build, "policy.rego", REGO, "x :=", id="rego"),
]


def built(build: Callable[[Source], Built], directory: Path, name: str, text: str) -> Built:
    """The module of this text; a compiler that is not installed is told, and stops the test."""
    directory.mkdir(parents=True, exist_ok=True)
    (directory / name).write_text(text)
    with compilers_or_skip():
        return build(Source(directory, directory / name, "sample/verdict"))


@pytest.mark.parametrize(("build", "name", "text"), [(c.build, "policy.c", C), (wat.build, "policy.wat", WAT)])
def test_the_same_source_makes_the_same_module_wherever_it_is(build, name, text, tmp_path) -> None:
    """The other languages' compilers take seconds: `test_examples_rebuilt.py` compares what they make."""
    assert built(build, tmp_path, name, text) == built(build, tmp_path / "further" / "down", name, text)


@pytest.mark.parametrize(("build", "name", "text", "_wrong"), LANGUAGES)
def test_a_source_becomes_a_module_that_decides(build, name, text, _wrong, tmp_path, decide) -> None:
    module = built(build, tmp_path, name, text).module
    if build is rego.build:
        assert b"opa_eval" in module
        return
    assert decide(module).verdict.__class__.__name__ == "Allow"


@pytest.mark.parametrize(("build", "name", "_text", "wrong"), LANGUAGES)
def test_a_source_that_does_not_build_is_told_in_the_compilers_words(build, name, _text, wrong, tmp_path) -> None:
    with pytest.raises(PolicyBuildError) as refused:
        built(build, tmp_path, name, wrong)
    assert name in refused.value.said
    assert refused.value.remedy


@pytest.mark.parametrize(
    ("build", "name", "package"),
    [
        (c.build, "policy.c", "apt-get install clang lld"),
        (assemblyscript.build, "policy.ts", "npm install --save-exact assemblyscript@"),
        (rego.build, "policy.rego", "go install github.com/open-policy-agent/opa@v"),
        (rust.build, "policy.rs", "apt-get install rustc libstd-rust-dev-wasm32 lld"),
    ],
)
def test_a_compiler_that_is_not_there_is_told_with_what_brings_it(
    build, name, package, tmp_path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(rust, "DEBIAN_RUSTC", tmp_path / "rustc")
    with pytest.raises(PolicyToolMissingError) as missing:
        build(Source(tmp_path, tmp_path / name, "a/b"))
    assert package in missing.value.remedy


def test_a_compiler_that_cannot_be_run_is_no_crash(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("clang", "wasm-ld"):
        (tmp_path / name).write_text("#!/nowhere/at/all\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(PolicyBuildError, match="cannot be run"):
        c.build(Source(tmp_path, tmp_path / "policy.c"))


def folder_of(directory: Path, manifest: str) -> Path:
    (directory / "manifest.yaml").write_text("version: 1\nname: a\n" + manifest)
    return directory


def test_a_folder_is_built_by_its_manifest(tmp_path) -> None:
    folder = read_folder(folder_of(tmp_path, "build: wat\n"))
    with pytest.raises(ConfigError, match=r"policy\.wat is not there"):
        build_module(folder)
    (tmp_path / "policy.wat").write_text(WAT)
    found = build_module(folder)
    assert found is not None
    assert found.module.startswith(b"\0asm")


@pytest.mark.parametrize("manifest", ["build: yaml", "kind: rules", "kind: module"])
def test_where_nothing_is_compiled_there_is_nothing_to_build(tmp_path, manifest: str) -> None:
    assert build_module(read_folder(folder_of(tmp_path, manifest))) is None


def test_rego_without_an_entry_point_is_told_where_to_write_it(tmp_path) -> None:
    (tmp_path / "policy.rego").write_text(REGO)
    with pytest.raises(PolicyBuildError) as refused:
        build_module(read_folder(folder_of(tmp_path, "build: rego")))
    assert "entry_point" in refused.value.remedy

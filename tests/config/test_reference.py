"""The manual, the example file and the listing come from the sections, and the shipped files are up to date."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from signer.config.load import load_config, variable_name
from signer.config.presets import PRESET_VALUES
from signer.config.reference import (
    key_references,
    render_example,
    render_manual,
    render_text,
    replace_generated,
)
from signer.config.sections import Config, Preset
from signer.config.setting import is_section, leaves, members, values

ROOT = Path(__file__).resolve().parents[2]


def load(file: Path | None, **layers: object) -> Config:
    arguments: dict[str, object] = {"environ": {}, "flags": {}, "files_must_exist": False, **layers}
    return load_config(file, **arguments)  # type: ignore[arg-type]


def test_the_shipped_manual_and_example_are_what_the_sections_say() -> None:
    manual = (ROOT / "docs" / "configuration.md").read_text()
    assert render_manual(manual) == manual, "run `python -m signer.config`"
    assert (ROOT / "config" / "holdfast.example.yaml").read_text() == render_example(), "run `python -m signer.config`"


def test_the_command_writes_both_files_and_only_in_the_root_of_a_source_tree(tmp_path: Path) -> None:
    def run() -> subprocess.CompletedProcess[str]:
        command, environment = [sys.executable, "-m", "signer.config"], {**os.environ, "PYTHONPATH": str(ROOT)}
        return subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)

    manual, example = Path("docs/configuration.md"), Path("config/holdfast.example.yaml")
    elsewhere = run()
    assert elsewhere.returncode == 1
    assert "root of the source tree" in elsewhere.stderr
    assert list(tmp_path.iterdir()) == []
    for file in (manual, example):
        (tmp_path / file).parent.mkdir()
    shipped = (ROOT / manual).read_text()
    outdated = re.sub(r"^\| `security\.principals.*\n", "", shipped, flags=re.MULTILINE)
    assert outdated != shipped
    (tmp_path / manual).write_text(outdated)
    assert run().returncode == 0
    for file in (manual, example):
        assert (tmp_path / file).read_text() == (ROOT / file).read_text()


def test_the_example_says_exactly_the_defaults(tmp_path: Path) -> None:
    example = load(ROOT / "config" / "holdfast.example.yaml")
    defaults = load(None)
    assert [(each.key, each.value) for each in values(example)] == [(each.key, each.value) for each in values(defaults)]


def test_the_example_shows_every_key_in_its_section() -> None:
    text = render_example()
    for leaf in leaves(Config):
        assert f"{leaf.member.name}:" in text, leaf.key


@pytest.mark.parametrize("preset", list(Preset))
def test_the_shipped_configurations_load_with_their_own_preset(preset: Preset) -> None:
    config = load(ROOT / "config" / f"{preset}.yaml")
    assert config.preset is preset


def test_every_key_has_a_reason_a_type_and_a_default_in_words() -> None:
    for each in key_references():
        assert each.reason.endswith((".", "!")), each.key
        assert each.type_text, each.key
        assert each.default_text, each.key


def test_every_number_says_its_unit() -> None:
    counted = {"server.port", "metrics.port", "policy.refusal_status"}
    for leaf in leaves(Config):
        if leaf.member.setting.maximum is not None and leaf.key not in counted:
            assert leaf.member.setting.unit, leaf.key


def test_every_section_says_what_it_is_for() -> None:
    for member in members(Config):
        assert member.setting.reason
        if is_section(member.hint):
            assert member.hint.__doc__


def test_defaults_are_within_their_own_limits(tmp_path: Path) -> None:
    """Each default, written as a variable, is read back as itself."""
    for each in key_references():
        plain = (
            each.default_text.startswith("`") and each.default_text.endswith("`") and each.default_text.count("`") == 2
        )
        if not each.variable or not plain or each.key == "network.pin_first_seen":
            continue
        text = each.default_text.strip("`").strip('"')
        config = load(None, environ={each.variable: text}, working_directory=tmp_path)
        default = load(None, working_directory=tmp_path)
        assert dict(_values(config))[each.key] == dict(_values(default))[each.key], each.key


def _values(config: Config) -> list[tuple[str, object]]:
    return [(each.key, each.value) for each in values(config)]


def test_presets_only_set_keys_that_there_are() -> None:
    keys = {leaf.key for leaf in leaves(Config)}
    for settings in PRESET_VALUES.values():
        assert set(settings) <= keys


def test_the_listing_names_every_key_and_its_variable() -> None:
    text = render_text()
    for leaf in leaves(Config):
        assert leaf.key in text
    assert variable_name("server.tls.key_file") == "HOLDFAST_SERVER__TLS__KEY_FILE"
    assert "HOLDFAST_SERVER__TLS__KEY_FILE" in text
    assert "HOLDFAST_PRESET" not in text


def test_a_manual_without_marks_is_not_silently_left_as_it_is() -> None:
    assert replace_generated("a\n<!-- x -->\nold\n<!-- /x -->\nb", "x", "new") == "a\n<!-- x -->\n\nnew\n<!-- /x -->\nb"
    with pytest.raises(ValueError, match="no marks"):
        replace_generated("<!-- x -->\n", "x", "new")

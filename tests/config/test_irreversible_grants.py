"""What cannot be taken back is off in `production`, and grants name principals that there are."""

from pathlib import Path

import pytest

from signer.config.credentials import irreversible_rule
from signer.config.load import load_config
from signer.config.sections import Config
from signer.errors import ConfigError, IrreversibleDutyError
from signer.units import PublicKey

KEY = PublicKey(b"\xaa" * 48)
GRANT = (
    "  irreversible_grants:\n    - duty: VOLUNTARY_EXIT\n      principal: NAME\n      keys: ['0x" + KEY.hex() + "']\n"
)


def load(tmp_path: Path, text: str) -> Config:
    file = tmp_path / "holdfast.yaml"
    file.write_text(text)
    return load_config(file, environ={}, flags={}, files_must_exist=False)


@pytest.mark.parametrize(
    ("preset", "kept"), [("production", "granted"), ("development", "allowed"), ("test", "allowed")]
)
def test_each_preset_has_its_own_default(tmp_path: Path, preset: str, kept: str) -> None:
    assert load(tmp_path, f"preset: {preset}\n").policy.irreversible_duties == kept


def test_a_grant_becomes_a_rule(tmp_path: Path) -> None:
    rule = irreversible_rule(load(tmp_path, "policy:\n" + GRANT.replace("NAME", "anonymous")).policy)
    rule.check("VOLUNTARY_EXIT", principal="anonymous", public_key=KEY)


def test_a_grant_of_another_type_stays_refused(tmp_path: Path) -> None:
    rule = irreversible_rule(
        load(tmp_path, "preset: production\npolicy:\n" + GRANT.replace("NAME", "anonymous")).policy
    )
    rule.check("VOLUNTARY_EXIT", principal="anonymous", public_key=KEY)
    with pytest.raises(IrreversibleDutyError):
        rule.check("DEPOSIT", principal="anonymous", public_key=KEY)


def test_a_grant_to_nobody_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="nobody-we-know is no principal"):
        load(tmp_path, "policy:\n" + GRANT.replace("NAME", "nobody-we-know"))

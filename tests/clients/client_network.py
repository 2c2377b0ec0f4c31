"""The test network of `spec_duties` as the signer's configuration."""

import time
from pathlib import Path

from spec_duties import FORK_EPOCH, GENESIS_VALIDATORS_ROOT, SLOTS_PER_EPOCH, consensus_config


def network_sections(directory: Path) -> dict[str, dict[str, object]]:
    """Configuration of the test network, far enough past its last fork."""
    config_file = directory / "network.yaml"
    config_file.write_text(consensus_config())
    passed_epochs = FORK_EPOCH["GLOAS"] + 10
    return {
        "network": {
            "config_file": str(config_file),
            "genesis_validators_root": "0x" + GENESIS_VALIDATORS_ROOT.hex(),
            "genesis_time": int(time.time()) - passed_epochs * SLOTS_PER_EPOCH * 12,
        }
    }

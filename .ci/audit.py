"""Audit what we ship: its licences, its known vulnerabilities, and that a lock names no registry.

Run as `python .ci/audit.py requirements.lock`. Exit 1 when something is found; a vulnerability service that
cannot be reached is said and is no failure (there is nothing to be learned from it offline).
"""

import importlib.metadata
import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

ALLOWED = re.compile(
    r"Apache|MIT|BSD|ISC|Python Software Foundation|PSF|Mozilla Public License 2|MPL-2\.0|any-OSI|CC0|Unlicense|Zlib",
    re.IGNORECASE,
)
"""Licences that may stand beside Apache-2.0 in one program without obligations on its source."""

READ_BY_HAND = {"pyblst": "MIT, in its repository; the wheel's metadata leaves the field empty (0.3.15)"}
"""Packages whose metadata does not say, and what their source says."""

REQUIREMENT = re.compile(r"^([A-Za-z0-9_.-]+)==(\S+)", re.MULTILINE)


def packages(lock: Path) -> list[str]:
    """The names a lock file pins."""
    return [match[1] for match in REQUIREMENT.finditer(lock.read_text())]


def licence(name: str) -> str | None:
    """What a package's metadata says of its licence; None when it is not installed on this platform."""
    try:
        metadata = importlib.metadata.metadata(name)
    except importlib.metadata.PackageNotFoundError:
        return None
    classifiers = [text for text in metadata.get_all("Classifier") or [] if text.startswith("License ::")]
    said = metadata.get("License-Expression") or "; ".join(classifiers) or metadata.get("License") or ""
    return READ_BY_HAND.get(name, said)


def licence_faults(lock: Path) -> list[str]:
    """Packages whose licence is not on the list."""
    said = {name: licence(name) for name in packages(lock)}
    return [
        f"{name}: licence {text!r} is not on the list"
        for name, text in said.items()
        if text is not None and not ALLOWED.search(text)
    ]


def address_faults(lock: Path) -> list[str]:
    """Lines of a lock that name a host: a lock must serve every mirror."""
    return [
        f"{lock}:{number}: a lock names no address: {line.strip()}"
        for number, line in enumerate(lock.read_text().splitlines(), 1)
        if "://" in line or line.startswith("--")
    ]


def vulnerability_faults(lock: Path) -> list[str]:
    """Known vulnerabilities of the locked versions, from pip-audit."""
    with tempfile.TemporaryDirectory() as directory:
        report = Path(directory) / "report.json"
        command = [sys.executable, "-m", "pip_audit", "--require-hashes", "--disable-pip", "--progress-spinner=off"]
        run = subprocess.run(
            [*command, "-r", str(lock), "-f", "json", "-o", str(report)],
            capture_output=True, text=True, timeout=300, check=False,
        )  # fmt: skip
        if not report.is_file():
            print(f"vulnerabilities: the service could not be asked, nothing is known ({run.stderr.strip()[-200:]})")
            return []
        entries = json.loads(report.read_text())["dependencies"]
    asked = [entry for entry in entries if "skip_reason" not in entry]
    learned = "" if asked else "; nothing was learned (is a mirror between us?)"
    print(f"vulnerabilities: the service knew {len(asked)} of {len(entries)} locked packages{learned}")
    return [
        f"{entry['name']} {entry['version']}: {flaw['id']}, fixed in {', '.join(flaw['fix_versions']) or 'none yet'}"
        for entry in asked
        for flaw in entry["vulns"]
    ]


def main(arguments: list[str]) -> int:
    """Print every fault; 1 when there is one."""
    locks = [*sorted(Path.cwd().glob("*.lock")), *sorted(Path("signer").rglob("package-lock.json"))]
    shipped = Path(arguments[0])
    faults = licence_faults(shipped) + vulnerability_faults(shipped)
    faults += [fault for lock in locks for fault in address_faults(lock)]
    print(f"licences: {len(packages(shipped))} runtime packages read")
    for fault in faults:
        print(fault)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""The image's build steps, run where no container engine is at hand: an empty directory, a read-only source."""

import json
import re
import shutil
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parent.parent.parent
DOCKER = ROOT / "docker"
CONTEXT = ("pyproject.toml", "README.md", "LICENSE", "requirements.lock", "requirements-build.lock")


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The virtual environment that the Dockerfile copies into the image, built from the files it copies in."""
    source = tmp_path_factory.mktemp("source")
    for name in CONTEXT:
        shutil.copy(ROOT / name, source / name)
    for name in ("signer", "interchange"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for each in source.rglob("*"):
        each.chmod(0o555 if each.is_dir() else 0o444)
    target = tmp_path_factory.mktemp("image") / "holdfast"
    built = subprocess.run(
        ["sh", DOCKER / "build.sh", source, target, sys.executable],
        capture_output=True, text=True, check=False, cwd="/",
    )  # fmt: skip
    assert built.returncode == 0, built.stderr
    assert "0.1.0" in built.stdout
    return target


def installed(target: Path) -> dict[str, str]:
    """Distributions in an environment by normalised name."""
    found = {}
    for metadata in target.glob("lib/python3*/site-packages/*.dist-info"):
        name, version = metadata.name.removesuffix(".dist-info").rsplit("-", 1)
        found[re.sub(r"[-_.]+", "-", name).lower()] = version
    return found


def test_the_image_holds_the_locked_packages_and_holdfast_and_nothing_else(image):
    locked = dict(re.findall(r"^([A-Za-z0-9_.-]+)==([^\s;]+)", (ROOT / "requirements.lock").read_text(), re.MULTILINE))
    found = installed(image)
    assert found.pop("holdfast") == "0.1.0"
    assert found.items() <= locked.items()
    assert set(locked) - set(found) <= {"colorama"}  # Windows alone
    assert not {"pip", "setuptools", "wheel"} & set(found)


def test_the_image_runs_the_code_it_was_built_from_wherever_it_is_started(image, tmp_path):
    where = subprocess.run(
        [image / "bin" / "python", "-c", "import signer; print(signer.__file__)"],
        capture_output=True, text=True, check=True, cwd=tmp_path,
    ).stdout  # fmt: skip
    assert where.startswith(str(image))
    packaged = {path.name for path in (image / "lib").rglob("signer/journal/migrations/*.sql")}
    assert packaged == {path.name for path in (ROOT / "signer/journal/migrations").glob("*.sql")} != set()


def test_the_image_begins_policies_with_every_file_that_the_tree_has(image):
    def files_below(templates: Path) -> set[Path]:
        files = {path.relative_to(templates) for path in templates.rglob("*") if path.is_file()}
        return {path for path in files if "__pycache__" not in path.parts}

    (packaged,) = (image / "lib").rglob("signer/policy/templates")
    assert files_below(packaged) == files_below(ROOT / "signer/policy/templates") != set()


def test_every_instruction_copies_a_file_that_the_context_lets_through():
    allowed = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    copied = set()
    for line in (DOCKER / "Dockerfile").read_text().splitlines():
        if line.startswith("COPY ") and "--from" not in line:
            copied |= set(line.split()[1:-1])
    assert copied == allowed
    assert all((ROOT / name).exists() for name in copied)


def test_the_container_has_no_privilege_and_writes_into_its_volume_alone():
    service = yaml.safe_load((DOCKER / "compose.yaml").read_text())["services"]["holdfast"]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["user"] == "10001:10001"
    writable = [volume for volume in service["volumes"] if not volume.endswith(":ro")]
    assert writable == ["data:/var/lib/holdfast"]
    assert "USER 10001:10001" in (DOCKER / "Dockerfile").read_text()


def test_the_cluster_runs_one_pod_on_a_volume_of_one_pod():
    documents = {each["kind"]: each for each in yaml.safe_load_all((DOCKER / "kubernetes.yaml").read_text())}
    workload = documents["StatefulSet"]["spec"]
    assert workload["replicas"] == 1
    assert workload["volumeClaimTemplates"][0]["spec"]["accessModes"] == ["ReadWriteOncePod"]
    container = workload["template"]["spec"]["containers"][0]
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    assert {"startupProbe", "readinessProbe", "livenessProbe"} <= set(container)


def environment_keys(service: dict) -> set[str]:
    return {name.removeprefix("HOLDFAST_").replace("__", ".").lower() for name in service["environment"]}


def test_every_configuration_key_that_the_files_set_exists():
    from signer.config.sections import Config
    from signer.config.setting import leaves

    known = {leaf.key for leaf in leaves(Config)}
    service = yaml.safe_load((DOCKER / "compose.yaml").read_text())["services"]["holdfast"]
    assert environment_keys(service) <= known
    config = next(
        each for each in yaml.safe_load_all((DOCKER / "kubernetes.yaml").read_text()) if each["kind"] == "ConfigMap"
    )
    assert set(_flat(yaml.safe_load(config["data"]["holdfast.yaml"]))) <= known


def _flat(settings: dict, prefix: str = "") -> list[str]:
    keys = []
    for name, value in settings.items():
        keys += _flat(value, f"{prefix}{name}.") if isinstance(value, dict) else [prefix + name]
    return keys


@pytest.mark.parametrize(("answer", "code"), [("200 OK", 0), ("503 Service Unavailable", 1)])
def test_the_health_check_asks_the_admin_socket_and_believes_its_status(answer, code, tmp_path):
    path = tmp_path / "admin.sock"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        server.listen()
        asked: list[bytes] = []

        def serve() -> None:
            connection, _ = server.accept()
            with connection:
                asked.append(connection.recv(4096))
                connection.sendall(f"HTTP/1.1 {answer}\r\nContent-Length: 0\r\n\r\n".encode())

        thread = threading.Thread(target=serve)
        thread.start()
        run = subprocess.run([sys.executable, "-I", "-S", DOCKER / "healthcheck.py", "live", path], check=False)
        thread.join()
    assert run.returncode == code
    assert asked[0].startswith(b"GET /health/live HTTP/1.1\r\n")


def test_the_health_check_fails_when_nobody_listens(tmp_path):
    run = subprocess.run(
        [sys.executable, DOCKER / "healthcheck.py", "ready", tmp_path / "none"], capture_output=True, check=False
    )
    assert run.returncode == 1
    assert b"does not answer" in run.stdout


def test_the_dashboard_asks_for_metrics_that_are_there():
    from signer.telemetry import exposition

    dashboard = json.loads((DOCKER / "grafana-dashboard.json").read_text())
    expressions = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    asked = {name for each in expressions for name in re.findall(r"([a-z0-9_]+)\{instance", each)}
    source = Path(exposition.__file__).read_text()
    families = {re.sub(r"_(bucket|total|count|sum)$", "", name) for name in asked}
    assert len(families) >= 10
    missing = {name for name in families if name not in source and not name.startswith("eth2_slashingprotection_")}
    assert not missing

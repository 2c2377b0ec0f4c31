"""No bytes end in anything but a decoded duty with its root, or a RequestError."""

import contextlib
import json
from pathlib import Path

import pytest
from gloas_samples import GLOAS_REQUESTS
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from signer.api.wire_eth2 import decode_sign_request
from signer.errors import RequestError
from signer.eth2.builtin_networks import find_network
from signer.eth2.signing_root import signing_root
from signer.units import PublicKey

NETWORKS = [find_network(name) for name in ("mainnet", "minimal", "hoodi")]
STRANGE = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=20),
    st.sampled_from(["0x", "0X", "0xzz", "-0", "1e5", "0x" + "00" * 33, "GLOAS", "::", str(2**64), "\x00", "\u017f"]),
    st.lists(st.integers(), max_size=3),
    st.dictionaries(st.text(max_size=5), st.integers(), max_size=3),
)


@pytest.fixture(scope="module")
def requests(vectors: Path):
    one_of_each = []
    for path in sorted((vectors / "lodestar-requests").rglob("*.json")):
        one_of_each.append(json.loads(path.read_text())["vectors"][0]["request"])
    assert len(one_of_each) > 70
    fork_info = one_of_each[0]["fork_info"]
    return one_of_each + [request | {"fork_info": fork_info} for request in GLOAS_REQUESTS]


def check(body: bytes) -> bool:
    """True if the body became a root. Anything but a root or a RequestError fails the test that calls."""
    decoded = False
    for network in NETWORKS:
        with contextlib.suppress(RequestError):
            intent = decode_sign_request(body, PublicKey(bytes(48)), network)
            root = signing_root(intent.duty, intent.fork_info, network)
            assert len(root) == 32
            decoded = True
    return decoded


def test_the_requests_to_be_broken_are_whole(requests):
    assert all(check(json.dumps(request).encode()) for request in requests)


def _paths(value, path=()):
    yield path
    if isinstance(value, dict):
        for name, item in value.items():
            yield from _paths(item, (*path, name))
    if isinstance(value, list):
        for index, item in enumerate(value[:2]):
            yield from _paths(item, (*path, index))


def _changed(value, path, change):
    if not path:
        return change
    copy = dict(value) if isinstance(value, dict) else list(value)
    if len(path) == 1 and change is DELETED:
        del copy[path[0]]
    else:
        copy[path[0]] = _changed(copy[path[0]], path[1:], change)
    return copy


DELETED = object()
QUICK = settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@given(data=st.data())
@QUICK
def test_a_request_with_strange_values_is_decoded_or_refused(requests, data):
    request = data.draw(st.sampled_from(requests))
    for _ in range(data.draw(st.integers(1, 3))):
        path = data.draw(st.sampled_from([path for path in _paths(request) if path]))
        request = _changed(request, path, data.draw(st.one_of(st.just(DELETED), STRANGE)))
    check(json.dumps(request, allow_nan=True).encode())


@given(data=st.data())
@QUICK
def test_a_request_with_broken_bytes_is_decoded_or_refused(requests, data):
    body = bytearray(json.dumps(data.draw(st.sampled_from(requests))).encode())
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(body) - 1))
        match data.draw(st.sampled_from(["replace", "remove", "repeat", "cut"])):
            case "replace":
                body[at] = data.draw(st.integers(0, 255))
            case "remove":
                del body[at : at + data.draw(st.integers(1, 40))]
            case "repeat":
                body[at:at] = body[at : at + data.draw(st.integers(1, 200))]
            case "cut":
                del body[at:]
        if not body:
            break
    check(bytes(body))


@given(body=st.binary(max_size=200))
@QUICK
def test_any_bytes_are_refused(body):
    assert not check(body)


def test_a_request_without_any_one_of_its_members_is_decoded_or_refused(requests):
    for request in requests:
        for path in _paths(request):
            if path:
                check(json.dumps(_changed(request, path, DELETED)).encode())

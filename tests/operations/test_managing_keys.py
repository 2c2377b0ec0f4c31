"""Keys as an operator sees them: complete or not there yet, and never more than the caller may see."""

from collections.abc import Callable
from pathlib import Path

import pytest

from signer.auth.principal import OPERATOR, Action, Caller, Principal
from signer.clock import FixedClock
from signer.crypto import bls
from signer.crypto.bls import SecretKey
from signer.errors import BusyError, ForbiddenError, JournalDownError, KeyFileError, NotReadyError
from signer.keys.key import Key, Origin
from signer.keys.reload import Reloader
from signer.keys.report import SOURCE_NAMES, LoadReport, SourceCount
from signer.keys.ring import KeyRing
from signer.operations.manage_keys import KeyManagement, LocalLoads, ReloadStatus, SourceHealth
from signer.units import PublicKey

BLS = bls.load()
CALLER = Caller(OPERATOR)
NOBODY = Caller(Principal("nobody", actions=frozenset({Action.SIGN_DUTY})))


def key(number: int) -> Key:
    secret = SecretKey.from_bytes(number.to_bytes(32, "big"))
    return Key(PublicKey(bytes(BLS.public_key(secret))), secret, Origin.RAW_FILE, Path(f"{number}.yaml"))


KEYS = [key(number) for number in (1, 2, 3)]
SORTED = tuple(sorted(each.public_key for each in KEYS))
LIMITED = Caller(Principal("limited", keys=frozenset({KEYS[1].public_key})))


class Loads:
    """The loads of keys somewhere else, which may not answer."""

    answers = True

    async def status(self) -> ReloadStatus:
        return ReloadStatus("idle", None, None)

    async def health(self) -> tuple[SourceHealth, ...]:
        if not self.answers:
            raise JournalDownError("the main process does not answer")
        return (SourceHealth(SOURCE_NAMES[0], 3, 1),)

    async def start(self) -> None:
        raise BusyError("one runs")


@pytest.fixture
def ring() -> KeyRing:
    return KeyRing()


def test_before_the_first_load_nothing_is_listed(ring: KeyRing) -> None:
    keys = KeyManagement(ring, Loads())
    for ask in (keys.list_keys, keys.describe_keys):
        with pytest.raises(NotReadyError):
            ask(CALLER)
    assert not keys.ready
    ring.replace(())
    assert keys.ready
    assert keys.list_keys(CALLER).public_keys == ()


def test_keys_are_sorted_under_a_tag_that_changes_with_them(ring: KeyRing) -> None:
    keys = KeyManagement(ring, Loads())
    ring.replace(KEYS)
    first = keys.list_keys(CALLER)
    assert first.public_keys == SORTED
    ring.replace(KEYS[::-1])
    assert keys.list_keys(CALLER) == first
    ring.replace(KEYS[:2])
    assert keys.list_keys(CALLER).tag != first.tag


def test_a_caller_sees_its_keys_alone_under_a_tag_of_its_own(ring: KeyRing) -> None:
    keys = KeyManagement(ring, Loads())
    ring.replace(KEYS)
    assert keys.list_keys(LIMITED).public_keys == (KEYS[1].public_key,)
    assert keys.list_keys(LIMITED).tag != keys.list_keys(CALLER).tag
    [described] = keys.describe_keys(LIMITED)
    assert (described.public_key, described.origin, described.namespace) == (
        KEYS[1].public_key,
        "file-raw",
        "default",
    )
    assert len(keys.describe_keys(CALLER)) == 3


@pytest.mark.parametrize("ask", [KeyManagement.list_keys, KeyManagement.describe_keys])
def test_who_may_not_list_keys_is_refused(ring: KeyRing, ask: Callable[[KeyManagement, Caller], object]) -> None:
    ring.replace(KEYS)
    with pytest.raises(ForbiddenError):
        ask(KeyManagement(ring, Loads()), NOBODY)


async def test_reloads_are_ordered_and_told_by_whoever_may(ring: KeyRing) -> None:
    keys = KeyManagement(ring, Loads())
    assert (await keys.reload_status(CALLER)).status == "idle"
    with pytest.raises(BusyError):
        await keys.start_reload(CALLER)
    with pytest.raises(ForbiddenError):
        await keys.start_reload(NOBODY)
    with pytest.raises(ForbiddenError):
        await keys.reload_status(NOBODY)


async def test_health_never_fails(ring: KeyRing) -> None:
    loads = Loads()
    keys = KeyManagement(ring, loads)
    assert [one.error_count for one in await keys.health()] == [1]
    loads.answers = False
    assert [(one.keys_loaded, one.error_count) for one in await keys.health()] == [(0, 0)] * len(SOURCE_NAMES)


async def test_the_reloader_of_this_process_tells_the_same(ring: KeyRing) -> None:
    class Files:
        """Three keys, and one file that is broken."""

        def load(self, _progress: object = None, _stop: object = None) -> LoadReport:
            broken = KeyFileError("no key", file="bad.yaml")
            return LoadReport(tuple(KEYS), (broken,), (), (SourceCount(SOURCE_NAMES[0], 3, 1),), opened=0)

    reloader = Reloader(Files(), ring, FixedClock(12.0))
    loads = LocalLoads(reloader)
    assert (await loads.status()).status == "idle"
    assert await loads.health() == ()
    await loads.start()
    assert reloader.wait(30)
    status = await loads.status()
    assert (status.status, status.last_operation_time) == ("completed_with_errors", 12.0)
    assert await loads.health() == (SourceHealth(SOURCE_NAMES[0], 3, 1),)
    assert ring.public_keys == SORTED

"""Keccak-256, against known answers and against the dullest correct one."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from signer.policy.keccak import BLOCK_BYTES, Keccak256

MASK = 2**64 - 1


def rotated(lane: int, turn: int) -> int:
    return (lane << turn | lane >> (64 - turn)) & MASK


def permuted(state: dict[tuple[int, int], int]) -> dict[tuple[int, int], int]:
    """Keccak-f[1600] step by step, as the reference writes it (keccak.team, "Keccak specifications summary")."""
    register = 1
    for _ in range(24):
        columns = [state[x, 0] ^ state[x, 1] ^ state[x, 2] ^ state[x, 3] ^ state[x, 4] for x in range(5)]
        for x, y in state:
            state[x, y] ^= columns[(x - 1) % 5] ^ rotated(columns[(x + 1) % 5], 1)
        x, y = 1, 0
        current = state[x, y]
        for t in range(24):
            x, y = y, (2 * x + 3 * y) % 5
            current, state[x, y] = state[x, y], rotated(current, (t + 1) * (t + 2) // 2 % 64)
        for y in range(5):
            row = [state[x, y] for x in range(5)]
            for x in range(5):
                state[x, y] = row[x] ^ (~row[(x + 1) % 5] & row[(x + 2) % 5] & MASK)
        for j in range(7):
            register = (register << 1 ^ (register >> 7) * 0x71) % 256
            if register & 2:
                state[0, 0] ^= 1 << ((1 << j) - 1)
    return state


def plain_keccak256(message: bytes) -> bytes:
    state = {(x, y): 0 for x in range(5) for y in range(5)}
    padding = bytearray(BLOCK_BYTES - len(message) % BLOCK_BYTES)
    padding[0] |= 1
    padding[-1] |= 0x80
    padded = message + padding
    for start in range(0, len(padded), BLOCK_BYTES):
        for lane in range(BLOCK_BYTES // 8):
            state[lane % 5, lane // 5] ^= int.from_bytes(padded[start + 8 * lane :][:8], "little")
        state = permuted(state)
    return b"".join(state[x, 0].to_bytes(8, "little") for x in range(4))


@pytest.fixture(scope="module")
def keccak(engine) -> Keccak256:
    return Keccak256(engine)


@pytest.mark.parametrize(
    ("message", "digest"),
    [
        (b"", "c5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470"),
        (b"\x80", "56e81f171bcc55a6ff8345e692c0f86e5b48e01b996cadc001622fb5e363b421"),
        (b"\xc0", "1dcc4de8dec75d7aab85b567b6ccd41ad312451b948a7413f0a142fd40d49347"),
        (b"Transfer(address,address,uint256)", "ddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef"),
    ],
    ids=["the empty code", "the empty trie", "no uncles", "an event"],
)
def test_known_answers(keccak, message: bytes, digest: str):
    assert keccak.digest(message).hex() == digest


@pytest.mark.parametrize("length", [134, 135, 136, 137, 271, 272, 273, 54_399, 54_400, 54_401, 108_800])
def test_lengths_around_a_block_and_around_what_is_done_at_once(keccak, length: int):
    message = bytes(number * 7 % 251 for number in range(length))
    assert keccak.digest(message) == plain_keccak256(message)


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=600))
def test_any_message(keccak, message: bytes):
    assert keccak.digest(message) == plain_keccak256(message)

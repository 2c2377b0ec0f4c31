"""Facts by hand: what differs from an ordinary request is named, the rest is ordinary."""

from typing import Any

from msgspec.structs import replace

from signer.policy.facts import VERSION, Caller, Duty, Environment, Facts, Signer, Transaction

ALICE = "0x" + "a1" * 20
BOB = "0x" + "b0" * 20
TOKEN = "0x" + "70" * 20
ETHER = 10**18

SIGNER = Signer(
    key_id="treasury-1",
    public_key="0x" + "02" * 33,
    algorithm="secp256k1",
    namespace="production",
    tags=("hot", "payouts"),
)
CALLER = Caller(identity="payroll", roles=("payer",), address="10.1.2.3")


def facts(
    *,
    transaction: Transaction | None = None,
    duty: Duty | None = None,
    opaque: bool = False,
    signer: dict[str, Any] | None = None,
    caller: dict[str, Any] | None = None,
    timestamp: int = 1_800_000_000,
) -> Facts:
    return Facts(
        version=VERSION,
        opaque=opaque,
        payload_hash="0x" + "00" * 32,
        transaction=transaction,
        duty=duty,
        signer=replace(SIGNER, **(signer or {})),
        caller=replace(CALLER, **(caller or {})),
        environment=Environment(timestamp=timestamp, simulation=False),
    )


def payment(**fields: Any) -> Transaction:
    """One ether from nobody in particular to Alice, on Ethereum's main chain."""
    ordinary: dict[str, Any] = {
        "chain": "eip155:1",
        "type": "eip1559",
        "to": ALICE,
        "value": str(ETHER),
        "fee_cap": str(21_000 * 30 * 10**9),
        "nonce": "7",
        "gas_limit": "21000",
        "max_fee_per_gas": str(30 * 10**9),
        "max_priority_fee_per_gas": str(10**9),
        "data": "0x",
    }
    return Transaction(**{**ordinary, **fields})


def a_duty(kind: str = "ATTESTATION", **fields: Any) -> Duty:
    return Duty(type=kind, **fields)

"""One whole request of each Gloas and Heze type, in the shapes that differ most."""

ROOT = "0x" + "ab" * 32
ADDRESS = "0x" + "ef" * 20
KEY48 = "0x" + "01" * 48
SIGNATURE = "0x" + "02" * 96

GLOAS_REQUESTS = [
    {
        "type": "EXECUTION_PAYLOAD_BID",
        "execution_payload_bid": {
            "version": "GLOAS",
            "data": dict.fromkeys(
                ("parent_block_hash", "parent_block_root", "block_hash", "prev_randao", "execution_requests_root"), ROOT
            )
            | dict.fromkeys(("gas_limit", "builder_index", "slot", "value", "execution_payment"), "1")
            | {"fee_recipient": ADDRESS, "blob_kzg_commitments": [KEY48, KEY48], "inclusion_list_bits": "0x0101"},
        },
    },
    {
        "type": "EXECUTION_PAYLOAD_ENVELOPE",
        "execution_payload_envelope": {
            "payload": dict.fromkeys(("parent_hash", "state_root", "receipts_root", "prev_randao", "block_hash"), ROOT)
            | dict.fromkeys(
                (
                    *("block_number", "gas_limit", "gas_used", "timestamp", "blob_gas_used"),
                    *("excess_blob_gas", "slot_number", "base_fee_per_gas"),
                ),
                "1",
            )
            | {
                "fee_recipient": ADDRESS,
                "logs_bloom": "0x" + "00" * 256,
                "extra_data": "0x1234",
                "transactions": ["0x02", "0x"],
                "withdrawals": [{"index": "1", "validator_index": "2", "address": ADDRESS, "amount": "3"}],
                "block_access_list": "0xc0",
            },
            "execution_requests": {
                "deposits": [
                    {"pubkey": KEY48, "withdrawal_credentials": ROOT, "amount": 1, "signature": SIGNATURE, "index": 2}
                ],
                "withdrawals": [{"source_address": ADDRESS, "validator_pubkey": KEY48, "amount": 1}],
                "consolidations": [],
                "builder_deposits": [],
                "builder_exits": [{"source_address": ADDRESS, "pubkey": KEY48}],
            },
            "builder_index": "1",
            "beacon_block_root": ROOT,
            "parent_beacon_block_root": ROOT,
        },
    },
    {"type": "BUILDER_REQUEST_AUTH", "builder_request_auth": {"version": "GLOAS", "data": {"data": "0x", "slot": "1"}}},
    {
        "type": "INCLUSION_LIST",
        "inclusion_list": {"slot": 1, "validator_index": 2, "dependent_root": ROOT, "transactions": ["0x01"]},
    },
    {
        "type": "PAYLOAD_ATTESTATION",
        "payload_attestation_data": {
            "beacon_block_root": ROOT,
            "slot": "5",
            "payload_present": True,
            "blob_data_available": False,
        },
    },
]

"""The conditions of a rule, from what was written.

Rule: in `when` and `deny` a condition asks whether anything in the request fits; everywhere else, whether everything
does. What could be taken for both stands only where it means the safe one.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

from msgspec import Struct

from signer.errors import ConfigError
from signer.policy.rules import values
from signer.policy.rules.about_duties import (
    Deposits,
    Epochs,
    ExecutionAddresses,
    FeeRecipients,
    GasLimits,
    Graffiti,
)
from signer.policy.rules.about_requests import (
    DAYS,
    NAMED,
    PAYLOADS,
    Hours,
    OneOf,
    Payloads,
    Period,
    Sources,
    Span,
    Types,
)
from signer.policy.rules.about_transactions import (
    Above,
    AtMost,
    Chains,
    Contract,
    Destinations,
    Domain,
    Fees,
    Touches,
    TypedDataDomains,
)
from signer.policy.rules.assets import NATIVE
from signer.policy.rules.condition import Condition
from signer.policy.rules.values import MINUTES_OF_A_DAY
from signer.written import Scalar, Tree

ASSET_PATTERN: Final = r"[A-Za-z0-9][A-Za-z0-9_.:/-]{0,67}"

_FUNCTION = r"0x[0-9a-fA-F]{8}|[A-Za-z_$][A-Za-z0-9_$]*\([A-Za-z0-9,()\[\]]*\)"
_CHAIN = r"[-a-z0-9]{3,8}:[-_a-zA-Z0-9]{1,32}"
_NO_GRAFFITI_BYTES = 32

DESTINATIONS = ("receivers", "contracts", "programs", "scripts", "delegates", "creation")
PROVEN = ("fee_recipients", "gas_limits", "graffiti", "unproven_blocks")


class Read(Struct, frozen=True):
    """What stood in a rule."""

    conditions: tuple[Condition, ...]
    scopes: frozenset[str]
    """`transaction`, `duty`: what its conditions are about; those on any request are about neither."""


def read_conditions(written: Mapping[str, Tree], key: str, *, of_anything: bool) -> Read:
    """The conditions among a rule's entries; other names are left alone.

    Args:
        written: the entries.
        key: the rule's name in errors.
        of_anything: True in `when` and `deny`: one thing that fits is enough.

    Raises:
        ConfigError: a value that is none, or a condition in a place where it would mean another thing.
    """
    for name, tree in written.items():
        if name in (_ONLY_OF_EVERYTHING if of_anything else _ONLY_OF_ANYTHING):
            raise _misplaced(tree, f"{key}.{name}", of_anything=of_anything)
    found: list[Condition] = [
        condition
        for name, (_, read) in _SINGLE.items()
        if name in written
        for condition in read(written[name], f"{key}.{name}")
    ]
    if any(name in written for name in DESTINATIONS):
        found.append(_destinations(written, key))
    found.extend(_proven(written, key))
    return Read(tuple(found), frozenset(_scope_of(name) for name in written) - {""})


def _scope_of(name: str) -> str:
    if name in DESTINATIONS:
        return "transaction"
    if name in PROVEN:
        return "duty"
    return _SINGLE[name][0] if name in _SINGLE else ""


def _misplaced(tree: Tree, key: str, *, of_anything: bool) -> ConfigError:
    name = key.rpartition(".")[2]
    if of_anything:
        return ConfigError(
            f"{name} says that everything in a request fits; here the question is whether anything does",
            where=tree.origin.where,
            key=key,
            remedy="use `touches` or `above`, or turn the rule round: name the good ones in `unless`",
        )
    return ConfigError(
        f"{name} says that anything in a request fits: that grants nothing and exempts nothing",
        where=tree.origin.where,
        key=key,
        remedy="use it in `deny`, or in the `when` of a required rule; here, name what is allowed",
    )


# --- conditions on any request --------------------------------------------------------------------


def _payload(tree: Tree, key: str) -> list[Condition]:
    return [Payloads(values.read_choices(tree, key, PAYLOADS))]


def _types(tree: Tree, key: str) -> list[Condition]:
    return [Types(values.read_texts(tree, key, pattern=r"[A-Za-z0-9_]{1,64}", expected="the name of a type"))]


def _named(subject: str) -> "Reader":
    def read(tree: Tree, key: str) -> list[Condition]:
        return [OneOf(subject, values.read_texts(tree, key, expected="a name"))]

    return read


def _sources(tree: Tree, key: str) -> list[Condition]:
    return [Sources(tuple(values.read_network(each, name) for each, name in values.read_items(tree, key)))]


def _hours(tree: Tree, key: str) -> list[Condition]:
    return [Hours(tuple(_span(each, name) for each, name in values.read_items(tree, key)))]


def _span(tree: Tree, key: str) -> Span:
    entries = values.read_entries(tree, key, known=("days", "from", "until"))
    days = values.read_choices(entries["days"], f"{key}.days", DAYS) if "days" in entries else frozenset(DAYS)
    begins, ends = _clocks(entries, tree, key) if "from" in entries or "until" in entries else (0, MINUTES_OF_A_DAY)
    if not entries:
        raise values.wrong(tree, key, "days, or `from` and `until`", remedy="write `{days: [sat, sun]}`")
    return Span(frozenset(DAYS.index(day) for day in days), begins, ends)


def _clocks(entries: Mapping[str, Tree], tree: Tree, key: str) -> tuple[int, int]:
    begins = values.read_clock(values.get_entry(entries, "from", of=tree, key=key), f"{key}.from")
    ends = values.read_clock(values.get_entry(entries, "until", of=tree, key=key), f"{key}.until")
    if begins == ends:
        raise values.wrong(
            entries["until"],
            f"{key}.until",
            "another time than `from`",
            remedy="for whole days leave both out; a day that is full ends at 24:00, not at 00:00",
        )
    return begins, ends


def _period(tree: Tree, key: str) -> list[Condition]:
    entries = values.read_entries(tree, key, known=("from", "until"))
    moments = {name: values.read_moment(each, f"{key}.{name}") for name, each in entries.items()}
    if not moments:
        raise values.wrong(tree, key, "a moment `from` which, or `until` which")
    return [Period(moments.get("from"), moments.get("until"))]


# --- conditions on transactions -------------------------------------------------------------------


def _chains(tree: Tree, key: str) -> list[Condition]:
    return [Chains(values.read_texts(tree, key, pattern=_CHAIN, expected="a chain such as eip155:1 (CAIP-2)"))]


def _touches(tree: Tree, key: str) -> list[Condition]:
    return [Touches(values.read_addresses(tree, key))]


def read_asset(tree: Tree, key: str) -> str:
    """`native`, or a token as its chain writes it. Raises ConfigError."""
    text = values.read_text(tree, key, pattern=ASSET_PATTERN, expected="`native`, or a token's address")
    return text if text == NATIVE else values.read_address(tree, key)


def _amounts(tree: Tree, key: str) -> list[tuple[str, int]]:
    """Amounts by their assets."""
    entries = values.read_entries(tree, key, known=_names_of(tree))
    if not entries:
        raise values.wrong(tree, key, "assets with amounts", remedy="write `{native: 1.5 ether}`")
    found: list[tuple[str, int]] = []
    for name, each in entries.items():
        place = f"{key}.{name}"
        asset = read_asset(_as_text(name, each), place)
        found.append((asset, values.read_amount(each, place, native=asset == NATIVE)))
    return found


def _at_most(tree: Tree, key: str) -> list[Condition]:
    return [AtMost(asset, amount) for asset, amount in _amounts(tree, key)]


def _above(tree: Tree, key: str) -> list[Condition]:
    return [Above(tuple(_amounts(tree, key)))]


_FEES = ("total", "per_gas", "priority_per_gas", "per_blob_gas", "gas_limit")


def _fees(tree: Tree, key: str) -> list[Condition]:
    entries = values.read_entries(tree, key, known=_FEES)
    if not entries:
        raise values.wrong(tree, key, "at least one cap")
    caps = {
        name: values.read_whole(each, f"{key}.{name}")
        if name == "gas_limit"
        else values.read_amount(each, f"{key}.{name}", native=True)
        for name, each in entries.items()
    }
    return [Fees(**caps)]


def _typed_data(tree: Tree, key: str) -> list[Condition]:
    return [TypedDataDomains(tuple(_domain(each, name) for each, name in values.read_items(tree, key)))]


def _domain(tree: Tree, key: str) -> Domain:
    known = ("name", "version", "chain_id", "verifying_contract", "primary_types")
    entries = values.read_entries(tree, key, known=known)
    if "chain_id" not in entries and "verifying_contract" not in entries:
        raise values.wrong(tree, key, "a chain_id or a verifying_contract: a name alone can be anybody's")
    contract = entries.get("verifying_contract")
    types = entries.get("primary_types")
    chain_id = entries.get("chain_id")
    return Domain(
        name=None if "name" not in entries else values.read_text(entries["name"], f"{key}.name"),
        version=None if "version" not in entries else values.read_text(entries["version"], f"{key}.version"),
        chain_id=None if chain_id is None else str(values.read_whole(chain_id, f"{key}.chain_id")),
        verifying_contract=None if contract is None else values.read_address(contract, f"{key}.verifying_contract"),
        primary_types=None if types is None else values.read_texts(types, f"{key}.primary_types"),
    )


def _destinations(written: Mapping[str, Tree], key: str) -> Destinations:
    def listed(name: str, read: Callable[[Tree, str], frozenset[str]]) -> frozenset[str]:
        return read(written[name], f"{key}.{name}") if name in written else frozenset()

    contracts: tuple[Contract, ...] = ()
    if "contracts" in written:
        items = values.read_items(written["contracts"], f"{key}.contracts")
        contracts = tuple(_contract(each, name) for each, name in items)
    return Destinations(
        receivers=listed("receivers", values.read_addresses),
        contracts=contracts,
        programs=listed("programs", values.read_addresses),
        scripts=listed("scripts", _scripts),
        delegates=listed("delegates", values.read_addresses),
        creation="creation" in written and values.read_flag(written["creation"], f"{key}.creation"),
    )


def _scripts(tree: Tree, key: str) -> frozenset[str]:
    texts = values.read_texts(
        tree, key, pattern=r"0x([0-9a-fA-F]{2}){1,520}", expected="a script: 0x and hexadecimal digits"
    )
    return frozenset(text.lower() for text in texts)


def _contract(tree: Tree, key: str) -> Contract:
    entries = values.read_entries(tree, key, known=("address", "functions"))
    address = values.read_address(values.get_entry(entries, "address", of=tree, key=key), f"{key}.address")
    functions = values.get_entry(entries, "functions", of=tree, key=key)
    if getattr(functions, "text", None) == "any":
        return Contract(address, None)
    texts = values.read_texts(
        functions,
        f"{key}.functions",
        pattern=_FUNCTION,
        expected="a selector such as 0xa9059cbb, or a signature such as transfer(address,uint256)",
    )
    return Contract(address, frozenset(text.lower() if text.startswith("0x") else text for text in texts))


# --- conditions on duties -------------------------------------------------------------------------


def _deposits(tree: Tree, key: str) -> list[Condition]:
    entries = values.read_entries(tree, key, known=("withdrawal_credentials", "most_gwei"))
    listed = values.get_entry(entries, "withdrawal_credentials", of=tree, key=key)
    credentials = frozenset(
        values.read_hex(each, name, byte_count=32)
        for each, name in values.read_items(listed, f"{key}.withdrawal_credentials")
    )
    most = entries.get("most_gwei")
    return [Deposits(credentials, None if most is None else values.read_whole(most, f"{key}.most_gwei", most=2**64))]


def _execution_addresses(tree: Tree, key: str) -> list[Condition]:
    return [ExecutionAddresses(_execution(tree, key))]


def _epochs(tree: Tree, key: str) -> list[Condition]:
    entries = values.read_entries(tree, key, known=("least", "most"))
    bounds = {name: values.read_whole(each, f"{key}.{name}", most=2**64 - 1) for name, each in entries.items()}
    if not bounds:
        raise values.wrong(tree, key, "the `least` epoch, or the `most`")
    return [Epochs(bounds.get("least"), bounds.get("most"))]


def _proven(written: Mapping[str, Tree], key: str) -> list[Condition]:
    unproven = False
    if "unproven_blocks" in written:
        place = f"{key}.unproven_blocks"
        unproven = values.read_choice(written["unproven_blocks"], place, ("allowed", "denied")) == "allowed"
    found: list[Condition] = []
    if "fee_recipients" in written:
        found.append(FeeRecipients(_execution(written["fee_recipients"], f"{key}.fee_recipients"), unproven))
    if "gas_limits" in written:
        place = f"{key}.gas_limits"
        entries = values.read_entries(written["gas_limits"], place, known=("least", "most"))
        bounds = [
            values.read_whole(
                values.get_entry(entries, name, of=written["gas_limits"], key=place), f"{place}.{name}", most=2**64 - 1
            )
            for name in ("least", "most")
        ]
        found.append(GasLimits(bounds[0], bounds[1], unproven))
    if "graffiti" in written:
        found.append(_graffiti(written["graffiti"], f"{key}.graffiti", unproven_blocks=unproven))
    if "unproven_blocks" in written and not found:
        raise values.wrong(written["unproven_blocks"], f"{key}.unproven_blocks", "one of the conditions it is about")
    return found


def _graffiti(tree: Tree, key: str, *, unproven_blocks: bool) -> Graffiti:
    texts = [
        values.read_text(each, name, pattern=r"[^*]{0,32}\*?", expected="a text, or its beginning and a `*`")
        for each, name in values.read_items(tree, key)
    ]
    for text in texts:
        if len(text.rstrip("*").encode()) > _NO_GRAFFITI_BYTES:
            raise values.wrong(tree, key, f"texts of at most {_NO_GRAFFITI_BYTES} bytes")
    return Graffiti(
        frozenset(text.encode() for text in texts if not text.endswith("*")),
        tuple(sorted(text[:-1].encode() for text in texts if text.endswith("*"))),
        unproven_blocks,
    )


def _execution(tree: Tree, key: str) -> frozenset[str]:
    return frozenset(values.read_hex(each, name, byte_count=20) for each, name in values.read_items(tree, key))


def _names_of(tree: Tree) -> tuple[str, ...]:
    return tuple(getattr(tree, "entries", ()))


def _as_text(name: str, beside: Tree) -> Tree:
    """The name of an entry, to be read as a value."""
    return Scalar(name, "text", beside.origin)


Reader = Callable[[Tree, str], list[Condition]]

_SINGLE: Mapping[str, tuple[str, Reader]] = MappingProxyType(
    {
        "payload": ("", _payload),
        "types": ("", _types),
        **{subject: ("", _named(subject)) for subject in NAMED},
        "sources": ("", _sources),
        "hours": ("", _hours),
        "period": ("", _period),
        "chains": ("transaction", _chains),
        "touches": ("transaction", _touches),
        "above": ("transaction", _above),
        "at_most": ("transaction", _at_most),
        "fees": ("transaction", _fees),
        "typed_data": ("transaction", _typed_data),
        "deposits": ("duty", _deposits),
        "execution_addresses": ("duty", _execution_addresses),
        "epochs": ("duty", _epochs),
    }
)
"""What each condition is about, and how it is read."""

CONDITIONS = (*_SINGLE, *DESTINATIONS, *PROVEN)
_ONLY_OF_ANYTHING = frozenset({"touches", "above"})
_ONLY_OF_EVERYTHING = frozenset({*DESTINATIONS, *PROVEN, "at_most", "fees", "deposits", "execution_addresses"})

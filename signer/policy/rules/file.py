"""A rule file, from its text to a policy.

Everything that can be wrong with a file is found here, with its line; a policy that was read never fails.
"""

from collections import Counter
from collections.abc import Mapping as MappingOf

from signer.errors import ConfigError
from signer.policy.rules import values
from signer.policy.rules.charges import PER, Charge, SpendLimit, UseLimit
from signer.policy.rules.condition import Condition
from signer.policy.rules.reading_conditions import CONDITIONS, read_asset, read_conditions
from signer.policy.rules.rule import Approval, Rule, RuleFile, Section
from signer.written import NO_PATHS, Listing, Mapping, Tree, parse_yaml

VERSION = 1
"""Of the file format."""

MAX_FILE_BYTES = 256 * 1024
"""The largest file that is read: some thousand addresses."""

MAX_RULES = 256
"""Of one file. Each is tried on every request, on the thread that all policies share."""

MAX_ENTRIES = 10_000
"""Of all lists of one file together. Reading a file takes time that grows with them, whenever a process loads it."""

MAX_CHARGES = 16
"""Reservations that one verdict may carry, as a WASM policy's."""

MAX_LIFETIME_SECONDS = 30 * 86400
"""The longest that a request waits for approval."""

_NAME = r"[a-z0-9][a-z0-9-]{0,27}"
_NAME_TEXT = "1 to 28 of the characters a-z, 0-9 and hyphen"
_GROUP = r"[A-Za-z0-9_.:@-]{1,64}"
_ALLOW = ("name", "unless", *CONDITIONS)
_DENY = ("name", "unless", "message", *CONDITIONS)
_ONLY_REQUIRED = ("when", "limits", "uses", "approval")
_REQUIRE = ("name", "unless", "message", *_ONLY_REQUIRED, *CONDITIONS)


def read_rule_file(text: str, *, name: str) -> RuleFile:
    """The policy that a file describes; `name` is what errors and evidence call the file.

    Raises:
        ConfigError: anything in it that is no rule, or that could not mean what it says.
    """
    if len(text.encode()) > MAX_FILE_BYTES:
        raise ConfigError(
            f"the file has more than {MAX_FILE_BYTES} bytes", where=name, key="", remedy="write several policies"
        )
    root = parse_yaml(text, name=name, directory=NO_PATHS, begin="version")
    _check_cost(root)
    entries = values.read_entries(root, "", known=("version", "otherwise", *(each.value for each in Section)))
    _check_version(entries.get("version"), where=root.origin.where)
    rules = tuple(
        _rule(tree, key, section)
        for section in Section
        if section.value in entries
        for tree, key in values.read_items(entries[section.value], section.value)
    )
    otherwise = entries.get("otherwise")
    grants_the_rest = otherwise is not None and values.read_choice(otherwise, "otherwise", ("allow", "deny")) == "allow"
    file = RuleFile(name, rules, grants_the_rest)
    _check_whole(file, where=root.origin.where)
    return file


def _check_version(tree: Tree | None, *, where: str) -> None:
    if tree is None:
        raise ConfigError("the file names no version", where=where, key="version", remedy=f"add `version: {VERSION}`")
    if values.read_whole(tree, "version") != VERSION:
        raise values.wrong(tree, "version", str(VERSION))


def _check_cost(root: Mapping) -> None:
    """Before anything is made of the tree."""
    listed = [root.entries.get(section.value) for section in Section]
    rules = sum(len(each.items) for each in listed if isinstance(each, Listing))
    entries = _entries_in(root)
    for what, count, most in (("rules", rules, MAX_RULES), ("entries of lists", entries, MAX_ENTRIES)):
        if count > most:
            raise ConfigError(
                f"the file has {count} {what}; at most {most} are taken",
                where=root.origin.where,
                key="",
                remedy="write several policies and bind each of them; a list this long is for a module, which asks a"
                " named list (`holdfast policy lists`)",
            )


def _entries_in(tree: Tree) -> int:
    """Of all lists in it, those inside of lists too."""
    match tree:
        case Listing(items=items):
            return len(items) + sum(map(_entries_in, items))
        case Mapping(entries=named):
            return sum(map(_entries_in, named.values()))
        case _:
            return 0


def _rule(tree: Tree, key: str, section: Section) -> Rule:
    known = {Section.ALLOW: _ALLOW, Section.DENY: _DENY, Section.REQUIRE: _REQUIRE}[section]
    _check_section(tree, key, section)
    entries = values.read_entries(tree, key, known=known)
    if "name" not in entries:
        raise ConfigError(f"{key} has no name", where=tree.origin.where, key=f"{key}.name", remedy="add `name:` there")
    name = values.read_text(entries["name"], f"{key}.name", pattern=_NAME, expected=_NAME_TEXT)
    read = read_conditions(entries, key, of_anything=section is Section.DENY)
    charges = _charges(entries, key)
    approval = _approval(entries["approval"], f"{key}.approval") if "approval" in entries else None
    if section is not Section.ALLOW and not (read.conditions or charges or approval):
        raise ConfigError(
            f"{key} says nothing: {'it would deny everything' if section is Section.DENY else 'it requires nothing'}",
            where=tree.origin.where,
            key=key,
            remedy="add a condition" + ("" if section is Section.DENY else ", a limit or an approval"),
        )
    spends = any(isinstance(charge, SpendLimit) for charge in charges)
    return Rule(
        name=name,
        section=section,
        where=tree.origin.where,
        scope=_scope(read.scopes | ({"transaction"} if spends else set()), tree, key),
        when=_when(entries, key),
        unless=_unless(entries, key),
        conditions=read.conditions,
        charges=charges,
        approval=approval,
        message=values.read_text(entries["message"], f"{key}.message") if "message" in entries else "",
    )


def _check_section(tree: Tree, key: str, section: Section) -> None:
    misplaced = [name for name in _ONLY_REQUIRED if name in getattr(tree, "entries", ())]
    if misplaced and section is not Section.REQUIRE:
        raise ConfigError(
            f"{key} has {misplaced[0]}, and only a rule of `require` can",
            where=tree.origin.where,
            key=f"{key}.{misplaced[0]}",
            remedy="write a rule of `require` beside it, which binds whatever is granted",
        )


def _scope(scopes: frozenset[str] | set[str], tree: Tree, key: str) -> str:
    if len(scopes) > 1:
        raise ConfigError(
            f"{key} is about transactions and about consensus duties: nothing is both",
            where=tree.origin.where,
            key=key,
            remedy="write two rules",
        )
    return next(iter(scopes), "")


def _when(entries: MappingOf[str, Tree], key: str) -> tuple[Condition, ...]:
    return _conditions_in(entries, f"{key}.when", of_anything=True)


def _unless(entries: MappingOf[str, Tree], key: str) -> tuple[Condition, ...]:
    return _conditions_in(entries, f"{key}.unless", of_anything=False)


def _conditions_in(entries: MappingOf[str, Tree], key: str, *, of_anything: bool) -> tuple[Condition, ...]:
    name = key.rpartition(".")[2]
    if name not in entries:
        return ()
    written = values.read_entries(entries[name], key, known=CONDITIONS)
    read = read_conditions(written, key, of_anything=of_anything)
    _scope(read.scopes, entries[name], key)
    if not read.conditions:
        raise values.wrong(entries[name], key, "at least one condition")
    return read.conditions


def _charges(entries: MappingOf[str, Tree], key: str) -> tuple[Charge, ...]:
    found: list[Charge] = []
    for name, read in (("limits", _limit), ("uses", _uses)):
        if name in entries:
            found.extend(read(tree, place) for tree, place in values.read_items(entries[name], f"{key}.{name}"))
    counted = Counter(_counted(charge) for charge in found)
    if any(times > 1 for times in counted.values()):
        tree = entries["limits"] if "limits" in entries else entries["uses"]
        raise ConfigError(
            f"{key} has two limits of the same kind in the same window",
            where=tree.origin.where,
            key=key,
            remedy="keep the lower one",
        )
    return tuple(found)


def _counted(charge: Charge) -> tuple[str, int, str]:
    asset = charge.asset if isinstance(charge, SpendLimit) else ""
    return asset, charge.window_seconds, charge.per


def _limit(tree: Tree, key: str) -> SpendLimit:
    entries = values.read_entries(tree, key, known=("asset", "at_most", "window", "per"))
    asset = read_asset(entries["asset"], f"{key}.asset") if "asset" in entries else "native"
    return SpendLimit(
        asset,
        values.read_amount(
            values.get_entry(entries, "at_most", of=tree, key=key), f"{key}.at_most", native=asset == "native"
        ),
        values.read_duration(values.get_entry(entries, "window", of=tree, key=key), f"{key}.window", or_lifetime=True),
        _per(entries, key),
    )


def _uses(tree: Tree, key: str) -> UseLimit:
    entries = values.read_entries(tree, key, known=("at_most", "window", "per"))
    return UseLimit(
        values.read_whole(values.get_entry(entries, "at_most", of=tree, key=key), f"{key}.at_most"),
        values.read_duration(values.get_entry(entries, "window", of=tree, key=key), f"{key}.window", or_lifetime=True),
        _per(entries, key),
    )


def _per(entries: MappingOf[str, Tree], key: str) -> str:
    return values.read_choice(entries["per"], f"{key}.per", PER) if "per" in entries else "key"


def _approval(tree: Tree, key: str) -> Approval:
    entries = values.read_entries(tree, key, known=("quorum", "groups", "lifetime", "delay"))
    groups = values.read_texts(
        values.get_entry(entries, "groups", of=tree, key=key),
        f"{key}.groups",
        pattern=_GROUP,
        expected="the name of a group",
    )
    return Approval(
        values.read_whole(values.get_entry(entries, "quorum", of=tree, key=key), f"{key}.quorum", least=1, most=64),
        tuple(sorted(groups)),
        values.read_duration(
            values.get_entry(entries, "lifetime", of=tree, key=key), f"{key}.lifetime", most=MAX_LIFETIME_SECONDS
        ),
        values.read_duration(entries["delay"], f"{key}.delay", most=MAX_LIFETIME_SECONDS) if "delay" in entries else 0,
    )


# --- what only the whole file shows -----------------------------------------------------------------


def _check_whole(file: RuleFile, *, where: str) -> None:
    if not file.rules:
        raise ConfigError("the file has no rules", where=where, key="", remedy="add `allow`, `require` or `deny`")
    if not file.grants_the_rest and not any(rule.section is Section.ALLOW for rule in file.rules):
        raise ConfigError(
            "nothing in the file grants anything: it would deny every request",
            where=where,
            key="otherwise",
            remedy="add rules to `allow`, or `otherwise: allow` for a file that only restricts",
        )
    if sum(len(rule.charges) for rule in file.rules) > MAX_CHARGES:
        raise ConfigError(
            f"the file has more than {MAX_CHARGES} limits", where=where, key="require", remedy="write several policies"
        )
    _check_names(file)
    _check_approvals(file)


def _check_names(file: RuleFile) -> None:
    first: dict[str, Rule] = {}
    for rule in file.rules:
        if rule.name in first:
            raise ConfigError(
                f"two rules are named {rule.name}: counters and explanations go by the name",
                where=rule.where,
                key=f"{rule.section}.name",
                remedy=f"rename one of the two; the other is at {first[rule.name].where}",
            )
        first[rule.name] = rule


def _check_approvals(file: RuleFile) -> None:
    """A verdict demands one quorum of one set of groups: two rules of a file may both ask for the same request."""
    asking = [(rule, rule.approval) for rule in file.rules if rule.approval is not None]
    for rule, approval in asking[1:]:
        if approval.groups != asking[0][1].groups:
            raise ConfigError(
                f"rules {asking[0][0].name} and {rule.name} ask different groups",
                where=rule.where,
                key="require.approval.groups",
                remedy="put one of them into a policy of its own: demands of several policies add up",
            )
    for rule, _ in asking:
        shortest = min(approval.lifetime_seconds for _, approval in asking)
        if rule.approval is not None and rule.approval.delay_seconds >= shortest:
            raise ConfigError(
                f"rule {rule.name} delays for as long as a request waits, or longer: it could never be signed",
                where=rule.where,
                key="require.approval.delay",
                remedy=f"make the delay shorter than {shortest}s",
            )

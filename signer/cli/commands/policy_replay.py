"""`holdfast policy replay`: a candidate over past decisions, from the facts that a namespace has kept of them."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Annotated, Any

import typer

from signer.cli.commands.context import session_of
from signer.cli.commands.policy_serving import find_version
from signer.cli.output import Output
from signer.cli.policy_service import PolicyService
from signer.cli.policy_target import find_target
from signer.cli.problem import EXIT_REFUSED, UsageFault
from signer.cli.verdict_words import verdict_document
from signer.counted import are, counted
from signer.errors import UnknownPolicyError
from signer.operations.freeze_keys import parse_public_key
from signer.policy.kept_facts import decode_decision
from signer.policy.pack import Pack, read_pack
from signer.policy.replay import OVERTAKEN, Came, Compared, NotAsked, Replay, Unknown
from signer.policy.workbench import Workbench

_PAGE = 500
"""Decisions that are asked for at a time."""

_AGO = re.compile(r"([1-9][0-9]{0,5})([smhd])")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


@dataclass(slots=True)
class Tally:
    """What a replay has found so far."""

    decisions: int = 0
    not_asked: int = 0
    same: int = 0
    altered: int = 0
    archived: int = 0
    unknown: Counter[str] = field(default_factory=Counter)
    changes: Counter[str] = field(default_factory=Counter)
    differences: list[dict[str, Any]] = field(default_factory=list)

    @property
    def clean(self) -> bool:
        """Nothing differs, and everything was what the audit log says."""
        return not self.differences


def add_to(group: typer.Typer) -> None:
    """Add the command."""
    group.command("replay")(replay)


def replay(
    context: typer.Context,
    policy: Annotated[
        str, typer.Argument(metavar="FOLDER|PACK|NAME[@VERSION]", help="The candidate; of a name the staged version.")
    ],
    *,
    since: Annotated[
        str, typer.Option(metavar="WHEN", help="2026-07-01, 2026-07-01T12:00:00Z (UTC), or so long ago: 24h, 7d.")
    ] = "",
    until: Annotated[str, typer.Option(metavar="WHEN", help="Likewise; decisions of that moment are left out.")] = "",
    key: Annotated[str, typer.Option(metavar="KEY", help="Only decisions about this key.")] = "",
    limit: Annotated[int, typer.Option(metavar="N", min=1, help="So many decisions at most, the oldest first.")] = (
        100_000
    ),
    everywhere: Annotated[
        bool,
        typer.Option("--everywhere", help="Also where no policy of its name had a say, as if it were bound there too."),
    ] = False,
) -> int:
    """Ask a policy about past decisions: what would have changed, and where. Exit code 0: nothing; 1: something.

    Namespaces keep what decisions were made of where they are told to (`holdfast policy keep-facts`). The candidate is
    asked in place of the version that was asked then; it is told the same facts, counters and lists. Where it reads a
    counter that nobody read then, the decision cannot be compared, and is counted as that. Limits are counted anew for
    both from the first decision that is replayed. Everything runs in this process: a server only hands over its record.

    For example:

    - `holdfast policy keep-facts default --config holdfast.yaml`
    - `holdfast policy replay treasury/ --since 7d --config holdfast.yaml`
    - `holdfast policy replay treasury@3fa94c1d --key 0x93247f22... --json --config holdfast.yaml`
    """
    session = session_of(context)
    since_ms, until_ms = _moment(since, "--since"), _moment(until, "--until")
    wanted_key = "0x" + parse_public_key(key).hex() if key else ""
    tally = Tally()
    with session.service() as service, session.output.progress("replaying"), Workbench() as bench:
        policies = service.policies
        pack = _candidate(policy, policies)
        name = pack.manifest.name  # findings call rules so in a signer, too

        @cache
        def lists_of(revision: int, called: str) -> frozenset[str]:
            with suppress(UnknownPolicyError):
                return frozenset(policies.named_list(called, revision=revision)["items"])
            return frozenset()

        walk = Replay(bench, bench.open(pack, name=name), lists_of=lists_of, everywhere=everywhere)
        for row in _kept(policies, since_ms=since_ms or 0, until_ms=until_ms):
            if (wanted_key and row["public_key"] != wanted_key) or row["code"] in OVERTAKEN:
                continue
            if tally.decisions == limit:
                break
            _count(tally, row, walk)
    _tell(session.output, tally, name=name)
    return 0 if tally.clean else EXIT_REFUSED


def _candidate(policy: str, service: PolicyService) -> Pack:
    if Path(policy).exists():
        return find_target(Path(policy)).pack
    name, _, digits = policy.partition("@")
    version = find_version(service, name, digits)
    if not version:
        told = service.policy(name)
        version = told["staged"] or told["version"] or ""
    if not version:
        raise UsageFault(f"policy {name} has no version to replay", remedy=f"name one: {name}@VERSION")
    return read_pack(service.pack(version))


def _kept(service: PolicyService, *, since_ms: int, until_ms: int | None) -> Iterator[Mapping[str, Any]]:
    after: str | None = None
    while True:
        page = service.decisions(since_ms=since_ms, until_ms=until_ms, after=after, limit=_PAGE)
        yield from page["decisions"]
        after = page["next_after"]
        if after is None:
            return


def _count(tally: Tally, row: Mapping[str, Any], walk: Replay) -> None:
    tally.decisions += 1
    if row["audit"] == "differs":
        tally.altered += 1
        tally.differences.append({**_place(row), "what": "altered"})
        return
    tally.archived += row["audit"] == "archived"
    match walk.compare(decode_decision(row["body"].encode()), code=row["code"]):
        case NotAsked():
            tally.not_asked += 1
        case Unknown(question):
            tally.unknown[question] += 1
        case Compared() as found if found.differs:
            what = "decision" if found.changed else "verdict"
            words = f"{_words(found.then)} -> {_words(found.now)}" if found.changed else "says it otherwise"
            tally.changes[words] += 1
            tally.differences.append(
                {
                    **_place(row),
                    "what": what,
                    "then": {"decision": found.then.decision, "code": found.then.code or None},
                    "now": {"decision": found.now.decision, "code": found.now.code or None},
                    "verdict_then": None if found.verdict_then is None else verdict_document(found.verdict_then),
                    "verdict_now": verdict_document(found.verdict_now),
                    "rules": list(found.rules),
                }
            )
        case Compared():
            tally.same += 1


def _place(row: Mapping[str, Any]) -> dict[str, Any]:
    at = datetime.fromtimestamp(row["time_ms"] / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return {"at": at, "public_key": row["public_key"], "audit_index": row["audit_index"], "log": row["log"] or None}


def _words(came: Came) -> str:
    return f"{came.decision} {came.code}".strip()


def _tell(output: Output, tally: Tally, *, name: str) -> None:
    unknown = sum(tally.unknown.values())
    output.document(
        {
            "policy": name,
            "decisions": tally.decisions,
            "same": tally.same,
            "different": len(tally.differences),
            "not_asked": tally.not_asked,
            "not_comparable": unknown,
            "altered": tally.altered,
            "archived": tally.archived,
            "changes": dict(tally.changes.most_common()),
            "asks_what_nobody_asked": dict(tally.unknown.most_common()),
            "differences": tally.differences,
        }
    )
    output.headed_table(
        ("time", "audit", "key", "then", "now", "rules"),
        [_line(each) for each in tally.differences],
    )
    for words, times in tally.changes.most_common():
        output.line(f"{counted(times, 'time')} {words}")
    decisions = counted(tally.decisions, "decision")
    output.line(f"{decisions}: {tally.same} the same, {len(tally.differences)} different")
    if tally.altered:
        of_these = counted(tally.altered, "decision")
        output.line(f"{of_these} {are(tally.altered)} not what the audit log says: altered, and not replayed")
    if tally.archived:
        of_these = counted(tally.archived, "decision")
        output.notice(f"{of_these} could not be compared with the audit log: archived (audit.archive_directory)")
    for question, times in tally.unknown.most_common():
        of_these = counted(times, "decision")
        output.notice(f"{of_these} cannot be compared: the candidate asks {question}, which nobody asked then")
    if tally.not_asked:
        of_these = counted(tally.not_asked, "decision")
        output.notice(f"in {of_these} no policy {name} had a say (--everywhere replays those too)")
    if not tally.decisions:
        output.notice("no decision is kept of that time: `holdfast policy keep-facts` begins it")


def _line(difference: Mapping[str, Any]) -> tuple[str, ...]:
    at, index, key = difference["at"], str(difference["audit_index"]), difference["public_key"][:12]
    if difference["what"] == "altered":
        return at, index, key, "altered", "", ""
    then, now = (" ".join(filter(None, difference[side].values())) for side in ("then", "now"))
    if difference["what"] == "verdict":
        now += " (says it otherwise)"
    return at, index, key, then, now, " ".join(difference["rules"])


def _moment(text: str, option: str) -> int | None:
    """Milliseconds since the Unix epoch. Raises UsageFault."""
    if not text:
        return None
    if (ago := _AGO.fullmatch(text)) is not None:
        moment = datetime.now(UTC) - timedelta(**{_UNITS[ago[2]]: int(ago[1])})
        return max(0, int(moment.timestamp() * 1000))
    try:
        written = datetime.fromisoformat(text)
    except ValueError:
        raise UsageFault(
            f"{option} {text[:40]!r} is no time", remedy="write 2026-07-01T12:00:00Z, or how long ago: 24h, 7d"
        ) from None
    moment = written if written.tzinfo else written.replace(tzinfo=UTC)
    return max(0, int(moment.timestamp() * 1000))

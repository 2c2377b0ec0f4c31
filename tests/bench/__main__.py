"""Measure the promises of README on this machine: `python tests/bench [--quick] [ROW ...]`.

Prints the machine's own limits and one line for each case; exit 1 when a "must" is missed.
"""

import argparse
import shutil
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE.parent.parent)]

from bench_rows import ROWS as FIRST_ROWS  # noqa: E402 - the path above comes first
from bench_rows import Row, Run  # noqa: E402
from bound_rows import BOUND_ROWS  # noqa: E402
from interchange_rows import shared_slashing_data, slashing_data  # noqa: E402
from journal_rates import measured  # noqa: E402
from load_generator import BUILD, slow_fsync  # noqa: E402
from machine_limits import description, empty_requests_per_second, fsyncs_per_second  # noqa: E402
from policy_rows import policies  # noqa: E402
from prune_row import pruning, shared_pruning  # noqa: E402
from shared_rows import far_database, shared_database  # noqa: E402

ROWS = {
    **FIRST_ROWS,
    "prune": pruning,
    "interchange": slashing_data,
    "policy": policies,
    **BOUND_ROWS,
    "shared": shared_database,
    "far": far_database,
    "shared-interchange": shared_slashing_data,
    "shared-prune": shared_pruning,
}


def print_limits(run: Run) -> None:
    """What the machine can do at most, measured now."""
    print(description())
    print(
        f"limits: {run.raw.per_second(run.seconds):,.0f} whole signatures/s on all cores ({run.raw.bls.name})", end=""
    )
    print(f", {fsyncs_per_second(run.directory, run.seconds / 2):,.0f} fsyncs/s in the data directory", end="")
    print(f", {empty_requests_per_second(run.directory, run.seconds / 2):,.0f} empty HTTP requests/s\n", flush=True)


def print_journal(run: Run) -> None:
    """How many decisions a second the journal makes durable, on this disk and on slower ones."""
    for milliseconds in (0, 1, 5):
        environment = {"LD_PRELOAD": str(slow_fsync()), "SLOW_FSYNC_MICROSECONDS": str(milliseconds * 1000)}
        rates = measured(run.directory, seconds=run.seconds / 2, environment=environment)
        told = ", ".join(f"{rate:,.0f}/s with {callers} waiting" for callers, rate in rates.items())
        print(f"journal alone, fsync +{milliseconds} ms: {told}", flush=True)
    print()


def print_row(row: Row) -> None:
    """One line of the table, as Markdown."""
    must, aim = ("-" if each is None else f"{each:g}" for each in (row.must, row.aim))
    print(f"| {row.case} | {row.measured} | {must} | {aim} | {row.verdict} | {row.notes} |", flush=True)


def main() -> int:
    """Run the chosen rows."""
    parser = argparse.ArgumentParser(prog="make bench", description="Measure the promises of README on this machine.")
    parser.add_argument("rows", nargs="*", metavar="ROW", help=f"of journal, {', '.join(ROWS)}; all when none is named")
    parser.add_argument("--quick", action="store_true", help="seconds instead of minutes; figures for orientation only")
    parser.add_argument("--directory", type=Path, default=BUILD / "signers", help="on the disk that is to be measured")
    options = parser.parse_args()
    if unknown := set(options.rows) - {"journal", *ROWS}:
        parser.error(f"no row is named {', '.join(sorted(unknown))}; there are journal, {', '.join(ROWS)}")

    shutil.rmtree(options.directory, ignore_errors=True)
    options.directory.mkdir(parents=True)
    run = Run(
        options.directory, seconds=1.0 if options.quick else 5.0, repeats=1 if options.quick else 5, quick=options.quick
    )
    print_limits(run)
    if not options.rows or "journal" in options.rows:
        print_journal(run)
    print("| case | measured | must | aim | reached | notes |\n|---|---|---|---|---|---|", flush=True)
    rows = []
    for name in (each for each in ROWS if not options.rows or each in options.rows):
        for row in ROWS[name](run):
            print_row(row)
            rows.append(row)
    shutil.rmtree(options.directory)
    return 1 if any(row.verdict == "MISSED" for row in rows) else 0


if __name__ == "__main__":
    sys.exit(main())

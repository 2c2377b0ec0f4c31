"""Where a command's words go: the result to standard output, everything about it to standard error.

Rule 1: with `--json` standard output holds one JSON document and nothing else.
Rule 2: progress is drawn only where somebody watches: standard error is a terminal.
"""

import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

Advance = Callable[[int, int], None]
"""Called with (done, in all); 0 in all where that is not known."""


class Output:
    """Owned by one command."""

    def __init__(self, *, as_json: bool) -> None:
        self.as_json = as_json
        self._out = Console(markup=False, highlight=False, soft_wrap=True)
        self._error = Console(stderr=True, markup=False, highlight=False, soft_wrap=True)

    @property
    def on_terminal(self) -> bool:
        """True when people read the result as it comes."""
        return not self.as_json and self._out.is_terminal

    def document(self, document: Mapping[str, Any]) -> None:
        """The result for programs; nothing without `--json`."""
        if self.as_json:
            sys.stdout.write(json.dumps(document, indent=2) + "\n")

    def line(self, text: str = "", *, style: str | None = None) -> None:
        """A line of the result for people; nothing with `--json`."""
        if self.on_terminal:
            self._out.print(text, style=style)
        elif not self.as_json:
            sys.stdout.write(text + "\n")

    def table(self, columns: Sequence[str], rows: Sequence[Sequence[str]], *, styles: Sequence[str] = ()) -> None:
        """A table of the result for people; `styles` colour the rows. Nothing with `--json`.

        Where standard output is no terminal, columns are separated by tabs and nothing is cut to a width.
        """
        if self.as_json:
            return
        if not self._out.is_terminal:
            for row in rows:
                self.line("\t".join(row).rstrip("\t"))
            return
        table = Table(box=None, pad_edge=False, header_style="bold")
        for column in columns:
            table.add_column(column, overflow="fold")
        for number, row in enumerate(rows):
            table.add_row(*row, style=styles[number] if styles else None)
        self._out.print(table, soft_wrap=False)

    def headed_table(self, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """A table whose columns are not plain from its values: their names are printed to a pipe too."""
        self.table(columns, rows if self._out.is_terminal else [columns, *rows])

    def notice(self, text: str) -> None:
        """Something about the result that is not part of it; on standard error."""
        self._error.print(text)

    def failure(self, *, document: Mapping[str, Any], text: str) -> None:
        """Why there is no result; on standard error."""
        if self.as_json:
            sys.stderr.write(json.dumps(document, indent=2) + "\n")
        else:
            self._error.print(text)

    @contextmanager
    def progress(self, words: str) -> Iterator[Advance]:
        """A bar while something long runs."""
        if not self._error.is_terminal:
            yield lambda _done, _total: None
            return
        columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
        with Progress(*columns, TimeElapsedColumn(), console=self._error, transient=True) as bar:
            task = bar.add_task(words, total=None)
            yield lambda done, total: bar.update(task, completed=done, total=total or None)

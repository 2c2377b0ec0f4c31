"""What several commands of `holdfast policy` take: a policy, and a request to put to it."""

from pathlib import Path
from typing import Annotated

import typer

TargetArgument = Annotated[
    Path, typer.Argument(metavar="FOLDER", help="The policy's folder, or its pack; this folder if none.")
]
FactsOption = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="The request's facts, JSON or as in a case; - reads standard input."),
]
CaseOption = Annotated[str | None, typer.Option(metavar="NAME", help="The facts of this case instead.")]
CasesOption = Annotated[
    Path | None, typer.Option(metavar="FILE", help="The cases; the folder's own if none are named.")
]

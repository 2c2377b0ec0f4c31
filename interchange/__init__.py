"""EIP-3076 interchange as a small library of its own: no I/O but `python -m interchange`.

parse, read_interchange            bytes -> metadata and histories, streamed or whole
serialise, serialise_arranged      and back
serialise_elements, assembled      the same of histories that come one by one
minify, merge                      the highest of each field, of one document or several
check, diff                        what is slashable in it; what another document says otherwise
"""

from interchange.check import check
from interchange.diff import diff
from interchange.element import Fault
from interchange.errors import InterchangeError, MalformedError, NetworkMismatchError, SchemaError
from interchange.merge import merge
from interchange.minify import minify
from interchange.model import Interchange, Metadata, SignedAttestation, SignedBlock, ValidatorHistory
from interchange.parse import Event, Reading, parse, read_interchange
from interchange.serialise import assembled, serialise, serialise_arranged, serialise_elements

__all__ = [
    "Event",
    "Fault",
    "Interchange",
    "InterchangeError",
    "MalformedError",
    "Metadata",
    "NetworkMismatchError",
    "Reading",
    "SchemaError",
    "SignedAttestation",
    "SignedBlock",
    "ValidatorHistory",
    "assembled",
    "check",
    "diff",
    "merge",
    "minify",
    "parse",
    "read_interchange",
    "serialise",
    "serialise_arranged",
    "serialise_elements",
]

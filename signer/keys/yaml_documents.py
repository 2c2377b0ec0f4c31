"""The flat mappings of a YAML file, each value as it is written.

We read the parser's events instead of building objects. So a hostile file cannot make us recurse or expand aliases,
and an unquoted private key stays text: YAML 1.1 would make a number of `0x25…` and lose the zeros of `0012…`.
"""

from collections.abc import Iterator

import yaml

from signer.errors import KeyFormatError

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""libyaml's parser where PyYAML was built with it: ten times faster."""

_NULLS = frozenset({"", "~", "null", "Null", "NULL"})
"""Plain scalars that mean "nothing" (YAML 1.1, null type)."""

_MAX_DEPTH = 16
"""Key files are flat; libyaml takes quadratic time for a hundred thousand open brackets."""


class Document(dict[str, str | None]):
    """Names and scalar values; None where the value is null or is itself a mapping or a list. Owned by its reader."""

    def __init__(self) -> None:
        super().__init__()
        self.lists: dict[str, tuple[str, ...] | None] = {}
        """By name: what each list of scalar values holds; None for a mapping, and for a list of other things."""


def flat_documents(data: bytes) -> Iterator[Document]:
    """Each document of a YAML file, empty ones left out.

    Raises:
        KeyFormatError: not YAML, not mappings, a name given twice, or an alias.
    """
    reader = _DocumentReader()
    try:
        for event in yaml.parse(data, Loader=_LOADER):
            if (document := reader.take(event)) is not None:
                yield document
    except yaml.YAMLError as fault:
        raise KeyFormatError(_without_content(fault)) from None  # the original error may quote a line of the file


def flat_items(data: bytes) -> Iterator[Document]:
    """Each mapping of a YAML file that is one list of them. Raises KeyFormatError: as above, or it is no such list."""
    reader, depth = _DocumentReader(), 0
    try:
        for event in yaml.parse(data, Loader=_LOADER):
            closes = isinstance(event, yaml.MappingEndEvent | yaml.SequenceEndEvent)
            depth -= closes
            if depth == 0 and isinstance(event, yaml.ScalarEvent | yaml.MappingStartEvent):
                raise KeyFormatError(f"line {_line(event)}: a list should be here, with `- name: value` lines")
            if depth == 1 and isinstance(event, yaml.MappingStartEvent):
                reader.take(yaml.DocumentStartEvent())  # each item is read as a document is
            if depth > 1 or (depth == 1 and isinstance(event, yaml.NodeEvent | yaml.MappingEndEvent)):
                reader.take(event)
            if depth == 1 and closes and (item := reader.take(yaml.DocumentEndEvent())) is not None:
                yield item
            depth += isinstance(event, yaml.MappingStartEvent | yaml.SequenceStartEvent)
    except yaml.YAMLError as fault:
        raise KeyFormatError(_without_content(fault)) from None


class _DocumentReader:
    """Follows the events of one file; lives as long as its parsing."""

    def __init__(self) -> None:
        self._document: Document | None = None
        self._name: str | None = None
        self._depth = 0
        self._items: list[str] | None = None
        """What the list that is read holds so far; None where it is no list of scalar values."""

    def take(self, event: yaml.Event) -> Document | None:
        """The document that this event completes, or None."""
        match event:
            case yaml.DocumentStartEvent():
                self._document, self._name, self._depth = None, None, 0
            case yaml.DocumentEndEvent():
                return self._document
            case yaml.AliasEvent():
                raise KeyFormatError(f"line {_line(event)}: aliases are not used in key files")
            case yaml.MappingStartEvent() | yaml.SequenceStartEvent():
                self._open(event)
            case yaml.MappingEndEvent() | yaml.SequenceEndEvent():
                self._close()
            case yaml.ScalarEvent():
                self._scalar(event)
        return None

    def _open(self, event: yaml.MappingStartEvent | yaml.SequenceStartEvent) -> None:
        if self._depth == 0:
            if isinstance(event, yaml.SequenceStartEvent):
                raise KeyFormatError(f"line {_line(event)}: a list where `name: value` lines should be")
            self._document = Document()
        elif self._depth == 1:
            if self._name is None:
                raise KeyFormatError(f"line {_line(event)}: a list or mapping where a name should be")
            self._items = [] if isinstance(event, yaml.SequenceStartEvent) else None
        else:
            self._items = None
        self._depth += 1
        if self._depth > _MAX_DEPTH:
            raise KeyFormatError(f"line {_line(event)}: nested more than {_MAX_DEPTH} deep")

    def _close(self) -> None:
        self._depth -= 1
        if self._depth == 1 and self._document is not None and self._name is not None:
            self._document.lists[self._name] = None if self._items is None else tuple(self._items)
            self._finish_pair(None)

    def _scalar(self, event: yaml.ScalarEvent) -> None:
        if self._depth == 0:
            if event.value not in _NULLS:
                raise KeyFormatError(f"line {_line(event)}: bare text where `name: value` lines should be")
        elif self._depth == 1 and self._name is None:
            self._start_pair(event)
        elif self._depth == 1:
            is_null = event.implicit[0] and event.value in _NULLS  # written plainly: a quoted "null" is a text
            self._finish_pair(None if is_null else str(event.value))
        elif self._items is not None:
            self._items.append(str(event.value))

    def _start_pair(self, event: yaml.ScalarEvent) -> None:
        if self._document is not None and event.value in self._document:
            raise KeyFormatError(f"line {_line(event)}: a name that was given before")
        self._name = str(event.value)

    def _finish_pair(self, value: str | None) -> None:
        if self._document is not None and self._name is not None:
            self._document[self._name], self._name = value, None


def _line(event: yaml.Event) -> int:
    return event.start_mark.line + 1 if event.start_mark else 0


def _without_content(fault: yaml.YAMLError) -> str:
    mark = getattr(fault, "problem_mark", None)
    return f"line {mark.line + 1}: this is not YAML" if mark else "this is not YAML text"

"""What a policy's questions are answered where no signer answers them: counters and lists that somebody wrote down.

given:
  counters: {"eth:spend": 5 ether, transfers: {1h: 3, 24h: 20}}   # spent in any window; or by window
  lists: {receivers: ["0xa1a1..."]}
"""

from collections.abc import Mapping

from msgspec import Struct

from signer.policy.rules import values
from signer.written import Listing, Scalar, Tree
from signer.written import Mapping as TreeMapping


class Given(Struct, frozen=True):
    """Answers as a host does (`grants.Host`): what is not written down was not spent, or is on no list."""

    counters: Mapping[str, int | Mapping[int, int]] = {}
    """What was spent: in every window, or in those of so many seconds."""

    lists: Mapping[str, frozenset[str]] = {}

    def read_counter(self, name: str, *, window_seconds: int) -> int:
        """What is written down for the counter and the window."""
        spent = self.counters.get(name, 0)
        return spent if isinstance(spent, int) else spent.get(window_seconds, 0)

    def list_contains(self, name: str, item: str) -> bool:
        """True where exactly this text is written down."""
        return item in self.lists.get(name, frozenset())


NOTHING_GIVEN = Given()


def read_given(tree: Tree, key: str) -> Given:
    """The answers of a mapping. Raises ConfigError."""
    entries = values.read_entries(tree, key, known=("counters", "lists"))
    return Given(
        {name: _spent(each, place) for name, each, place in _named(entries.get("counters"), f"{key}.counters")},
        {name: _items(each, place) for name, each, place in _named(entries.get("lists"), f"{key}.lists")},
    )


def _named(tree: Tree | None, key: str) -> list[tuple[str, Tree, str]]:
    if tree is None:
        return []
    if not isinstance(tree, TreeMapping):
        raise values.wrong(tree, key, "names with values")
    return [(name, each, f"{key}.{name}") for name, each in tree.entries.items()]


def _spent(tree: Tree, key: str) -> int | Mapping[int, int]:
    if not isinstance(tree, TreeMapping):
        return values.read_amount(tree, key, native=True)
    return {
        values.read_duration(Scalar(window, "text", each.origin), place, or_lifetime=True): values.read_amount(
            each, place, native=True
        )
        for window, each, place in _named(tree, key)
    }


def _items(tree: Tree, key: str) -> frozenset[str]:
    if isinstance(tree, Listing) and not tree.items:
        return frozenset()
    return values.read_texts(tree, key, pattern=r".{1,256}")

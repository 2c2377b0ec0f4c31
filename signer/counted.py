"""Numbers in front of what they count, as people read them."""


def counted(number: int, one: str, many: str = "") -> str:
    """`1 case`, `2 cases`: `one` is the word for one, `many` the word for more where an `s` does not make it."""
    return f"{number} {one if number == 1 else many or one + 's'}"


def are(number: int) -> str:
    """`is` of one, `are` of more and of none."""
    return "is" if number == 1 else "are"

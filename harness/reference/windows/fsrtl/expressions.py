"""Names and wildcards as FsRtlIsNameInExpression knows them, and the upcase table.

`*` is any number of characters and `?` exactly one. The DOS wildcards keep what old programs meant by them: `<`
(DOS_STAR) is any number of characters up to the last dot of the name, `>` (DOS_QM) one character, or none at a dot or
at the end of the name, and the double quote (DOS_DOT) a dot, or nothing at the end of the name.
"""

from functools import lru_cache

WILDCARDS = frozenset('*?<>"')
DOS_STAR, DOS_QM, DOS_DOT = "<", ">", '"'


def upcase(text: str) -> str:
    """A name as the upcase table of an NTFS volume has it: one UTF-16 unit for one; what would grow stays."""
    if text.isascii():
        return text.upper()
    return "".join(_upcase_character(character) for character in text)


@lru_cache(maxsize=4096)
def _upcase_character(character: str) -> str:
    upper = character.upper()
    return upper if len(upper) == 1 and ord(character) <= 0xFFFF and ord(upper) <= 0xFFFF else character


def has_wildcards(name: str) -> bool:
    """FsRtlDoesNameContainWildCards."""
    return not WILDCARDS.isdisjoint(name)


def is_name_in_expression(expression: str, name: str) -> bool:
    """FsRtlIsNameInExpression: whether `name` is one of the names that `expression` stands for.

    Both are compared as they are: who wants no difference between cases hands both over in upper case.
    """
    if expression == "*":
        return True
    states = {0}
    for position, character in enumerate(name):
        last_dot = character == "." and "." not in name[position + 1 :]
        states = _consume(expression, _without_character(expression, states, character, last_dot), character)
        if not states:
            return False
    return len(expression) in _at_end(expression, states)


def _without_character(expression: str, states: set[int], character: str, last_dot: bool) -> set[tuple[int, bool]]:
    """Where one can be before `character` is consumed; with each place, whether a star there may consume it."""
    found: dict[int, bool] = {}
    pending = list(states)
    while pending:
        state = pending.pop()
        if state in found:
            continue
        here = expression[state] if state < len(expression) else ""
        found[state] = here == "*" or (here == DOS_STAR and not last_dot)
        if here in ("*", DOS_STAR) or (here == DOS_QM and character == "."):
            pending.append(state + 1)
    return set(found.items())


def _consume(expression: str, places: set[tuple[int, bool]], character: str) -> set[int]:
    following = set()
    for state, star in places:
        here = expression[state] if state < len(expression) else ""
        if star:
            following.add(state)
        elif (
            here in ("?", character) or (here == DOS_QM and character != ".") or (here == DOS_DOT and character == ".")
        ):
            following.add(state + 1)
    return following


def _at_end(expression: str, states: set[int]) -> set[int]:
    """Where one gets once the name is over: the stars, DOS_QM and DOS_DOT stand for nothing there."""
    found: set[int] = set()
    pending = list(states)
    while pending:
        state = pending.pop()
        if state in found:
            continue
        found.add(state)
        if state < len(expression) and expression[state] in ("*", DOS_STAR, DOS_QM, DOS_DOT):
            pending.append(state + 1)
    return found

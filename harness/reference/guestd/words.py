"""Command lines as cmd.exe reads them: chained with &, && and ||, cut into words, quotes kept together."""

from dataclasses import dataclass


class BadCommandLine(Exception):
    """Something in the command line that this shell does not do."""


@dataclass(frozen=True)
class Step:
    """One command of a chain, and when it runs: "&" always, "&&" after a success, "||" after a failure."""

    text: str
    joined_by: str

    def runs_after(self, code: int) -> bool:
        """Whether it runs when the step before it ended with this exit code."""
        return self.joined_by == "&" or (self.joined_by == "&&") is (code == 0)


def unwrap(line: str) -> str:
    """Take `cmd /c "..."` off, once or several times over."""
    while True:
        words = line.split(None, 2)
        if len(words) < 2 or words[0].lower() not in ("cmd", "cmd.exe") or words[1].lower() not in ("/c", "/s/c"):
            return line
        line = words[2] if len(words) > 2 else ""
        if len(line) >= 2 and line[0] == line[-1] == '"':
            line = line[1:-1]


def chain(line: str) -> list[Step]:
    """Cut a line at &, && and || outside of quotes; BadCommandLine for pipes and redirections to files."""
    steps: list[Step] = []
    text, quoted, joined_by, index = "", False, "&", 0
    line = unwrap(line.strip())
    for harmless in (" >nul 2>&1", " > nul 2>&1", " 2>&1", " >nul", " > nul", " 2>nul"):
        line = line.replace(harmless, "")
    while index < len(line):
        character = line[index]
        if character == '"':
            quoted = not quoted
        if quoted or character not in "&|<>":
            text += character
            index += 1
            continue
        doubled = line[index : index + 2] == 2 * character
        if character in "<>" or (character == "|" and not doubled):
            raise BadCommandLine(f"{character} (pipes and redirections are not part of this shell)")
        steps.append(Step(text.strip(), joined_by))
        text, joined_by = "", 2 * character if doubled else character
        index += len(joined_by)
    steps.append(Step(text.strip(), joined_by))
    return [step for step in steps if step.text]


def split(text: str) -> list[str]:
    r"""Cut one command into words as programs of Windows do (CommandLineToArgvW).

    Quotes keep blanks together and fall away. Before a quote two backslashes are one, and one makes it a plain quote;
    elsewhere backslashes are themselves.
    """
    words: list[str] = []
    word, quoted, begun, index = "", False, False, 0
    while index < len(text):
        character = text[index]
        if character == "\\":
            run = len(text[index:]) - len(text[index:].lstrip("\\"))
            index += run
            if text[index : index + 1] == '"':
                word, run, index = word + "\\" * (run // 2) + '"' * (run % 2), 0, index + run % 2
            word, begun = word + "\\" * run, True
            continue
        if character == '"':
            quoted, begun = not quoted, True
        elif character in " \t" and not quoted:
            if begun:
                words.append(word)
            word, begun = "", False
        else:
            word, begun = word + character, True
        index += 1
    if quoted:
        raise BadCommandLine("a quotation mark is missing")
    return [*words, word] if begun else words

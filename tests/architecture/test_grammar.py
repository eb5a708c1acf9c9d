"""The I/O script has one grammar: the tables of fltprobe, the host's data and the typed steps are the same."""

import inspect
import re
from pathlib import Path
from typing import get_args, get_type_hints

import pytest

from harness.minifilter import script_words, steps
from harness.minifilter.script import mistakes
from harness.minifilter.script_grammar import GRAMMAR, Words
from harness.minifilter.steps.script_step import KEYS

FLTPROBE = Path(__file__).resolve().parents[2] / "drivers" / "fltprobe"
ENTRY = re.compile(
    r'\{"(?P<verb>[\w-]+)",\s*\w+,\s*(?P<least>\d+),\s*(?P<most>\w+),\s*(?P<keys>(?:"[^"]*"\s*)+),\s*"(?P<words>[^"]*)"'
)
TABLE = re.compile(r"const (?:BIT_WORD|INFORMATION_CLASS|CHOICE) (\w+)\[\] = \{(.*?)\};", re.DOTALL)
TYPES = {
    "AccessWords": script_words.Access,
    "ShareWords": script_words.Share,
    "DispositionWords": script_words.Disposition,
    "OptionWords": script_words.Option,
    "AttributeWords": script_words.Attribute,
    "NotifyWords": script_words.Change,
    "RenameWords": script_words.RenameFlag,
    "OplockWords": script_words.OplockLevel,
    "ProtectWords": script_words.Protection,
    "LevelWords": script_words.ImpersonationLevel,
    "WhoWords": script_words.Client,
    "QueryClasses": script_words.QueryClass,
    "SetClasses": script_words.SetClass,
    "DirectoryClasses": script_words.DirectoryClass,
    "VolumeClasses": script_words.VolumeClass,
    "SetVolumeClasses": script_words.SetVolumeClass,
    "Majors": script_words.Major,
    "Phases": script_words.PhaseWord,
    "Classes": script_words.RuleClass,
    "Actions": script_words.Action,
    "Mechanisms": script_words.Mechanism,
    "Resumes": script_words.Resume,
    "Posts": script_words.PostAction,
    "StreamHandle": script_words.Context,
}
YES_AND_NO = {"Yes", "No"}
OPERANDS = {  # parameters that stand in a place, where the line has a key or plain word for all others
    **dict.fromkeys(["open", "open-by-id", "connect", "section", "map", "spawn"], 2),
    "revert": 0,
    "filter": 2,
}
WITHOUT_BUILDER = {"rule"}  # lab.<label>.when(...) makes these lines


def test_the_grammar_of_the_host_is_the_one_that_fltprobe_has() -> None:
    table = (FLTPROBE / "grammar.c").read_text().partition("Grammar[] = {")[2].partition("\n};")[0]
    theirs = {}
    for entry in ENTRY.finditer(table):
        keys = re.sub(r'"\s*"', "", entry["keys"].strip()).strip('"').split()
        most = None if entry["most"] == "NO_LIMIT" else int(entry["most"])
        theirs[entry["verb"]] = (int(entry["least"]), most, keys, entry["words"].split())

    assert len(theirs) == table.count('{"')
    assert theirs == {
        name: (verb.operands, verb.most_operands, [_required(key, verb.required) for key in verb.keys], [*verb.words])
        for name, verb in GRAMMAR.items()
    }


def _required(key: str, required: tuple[str, ...]) -> str:
    return f"+{key}" if key in required else key


def test_the_words_of_every_key_are_those_that_fltprobe_has() -> None:
    theirs = {}
    for source in sorted(FLTPROBE.glob("*.c")):
        for name, body in TABLE.findall(source.read_text()):
            theirs[name] = tuple(re.findall(r'\{"([\w-]+)"', body))

    ours = {name: get_args(kind) for name, kind in TYPES.items()}
    assert {name: words for name, words in theirs.items() if name not in YES_AND_NO} == ours


@pytest.mark.parametrize("verb", sorted(set(GRAMMAR) - WITHOUT_BUILDER))
def test_each_step_has_a_function_with_its_keys_and_words(verb: str) -> None:
    name = verb.replace("-", "_")
    function = getattr(steps, name, None) or getattr(steps, f"{name}_")
    parameters = list(inspect.signature(function).parameters.values())
    named = parameters[OPERANDS.get(verb, 1) :]
    grammar = GRAMMAR[verb]

    assert function.__doc__
    spelled = {parameter.name: _key(parameter.name, grammar.keys) for parameter in named}
    assert sorted(spelled.values()) == sorted((*grammar.keys, *grammar.words))
    assert all(parameter.kind is parameter.KEYWORD_ONLY for parameter in named)
    required = {spelled[one.name] for one in named if one.default is one.empty}
    assert required == set(grammar.required)
    hints = get_type_hints(function)
    for one in named:
        kind = grammar.values.get(spelled[one.name])
        if isinstance(kind, Words):
            assert _literals(hints[one.name]) == set(kind.words), f"{verb} {one.name}"


def _key(parameter: str, keys: tuple[str, ...]) -> str:
    """The key or plain word of a parameter; `hex` is `data`, and `data` is `message`, of which a step has one."""
    spelled = KEYS.get(parameter, parameter)
    return spelled if spelled in keys else spelled.rstrip("_").replace("_", "-")


def _literals(hint: object) -> set[str]:
    inner = [one for one in get_args(hint) if one is not type(None)]
    return {one for one in inner if isinstance(one, str)} | {
        word for one in inner if not isinstance(one, str) for word in _literals(one)
    }


def test_a_step_says_the_line_that_it_stands_for() -> None:
    directory = steps.open("d", r"V:\some where", access=["list", 0x20], options="directory")
    file = steps.open("f", "a.txt", relative=directory, descriptor=b"\x01\x02", case_sensitive=True)
    script = [
        directory,
        file,
        steps.read(file, length=4096, async_="one"),
        steps.set(file, class_="rename-ex", name="b.txt", flags=["replace", "posix"]),
        steps.spawn("two", steps.fsctl(file, code=0x900A8, data=b"\xff", in_zeros=None)),
        steps.await_("ready", timeout=5),
        steps.directory(directory, class_=37, single=True, continue_=True),
        steps.revert(),
        steps.write(file, text=""),
    ]

    assert [str(step) for step in script] == [
        r'open d "V:\some where" access=list,0x20 options=directory',
        "open f a.txt relative=d descriptor=0102 case-sensitive",
        "read f length=0x1000 async=one",
        "set f class=rename-ex name=b.txt flags=replace,posix",
        "spawn two fsctl f code=0x900A8 hex=ff",
        "await ready timeout=5",
        "directory d class=0x25 single continue",
        "revert",
        'write f text=""',
    ]
    assert mistakes("\n".join(map(str, script)), []) == []


def test_a_word_that_no_script_can_have_is_refused() -> None:
    with pytest.raises(ValueError, match="no quotation mark and no end of a line"):
        steps.open("f", 'V:\\a"b')

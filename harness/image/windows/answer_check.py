"""What an answer file must be for Windows Setup to take it, as far as that is documented.

Setup ignores a file that it does not like, and waits at its language page. So: well-formed, nothing but the settings
that fltlab knows in the passes they belong to, no empty element, no duplicate in an order, no command that is too long.
Limits: Microsoft's unattended setup reference (Path of RunSynchronousCommand 259 characters, CommandLine 1024).
"""

import xml.etree.ElementTree as ET
from collections.abc import Iterator

from harness.errors import ConfigurationError
from harness.image.windows.product_key import FORM

UNATTEND = "{urn:schemas-microsoft-com:unattend}"
WCM = "{http://schemas.microsoft.com/WMIConfig/2002/State}"
_LONGEST_PATH = 259
_LONGEST_COMMAND_LINE = 1024
_LONGEST_COMPUTER_NAME = 15
_LONGEST_USER_NAME = 20

_INTERNATIONAL = frozenset({"InputLocale", "SystemLocale", "UILanguage", "UserLocale"})
KNOWN: dict[tuple[str, str], frozenset[str]] = {
    ("windowsPE", "Microsoft-Windows-International-Core-WinPE"): _INTERNATIONAL | {"SetupUILanguage"},
    ("windowsPE", "Microsoft-Windows-Setup"): frozenset(
        {"RunSynchronous", "DiskConfiguration", "ImageInstall", "UserData"}
    ),
    ("specialize", "Microsoft-Windows-Shell-Setup"): frozenset({"ComputerName", "TimeZone", "ProductKey"}),
    ("specialize", "Microsoft-Windows-Security-SPP-UX"): frozenset({"SkipAutoActivation"}),
    ("specialize", "Microsoft-Windows-Deployment"): frozenset({"RunSynchronous"}),
    ("oobeSystem", "Microsoft-Windows-International-Core"): _INTERNATIONAL,
    ("oobeSystem", "Microsoft-Windows-Shell-Setup"): frozenset(
        {"OOBE", "UserAccounts", "AutoLogon", "FirstLogonCommands"}
    ),
}
"""The settings fltlab uses, by pass and component; each is documented for that pass."""

_COMPONENT_ATTRIBUTES = {
    "processorArchitecture": "amd64",
    "publicKeyToken": "31bf3856ad364e35",
    "language": "neutral",
    "versionScope": "nonSxS",
}


def check_answer_file(content: bytes, name: str) -> None:
    """Raise ConfigurationError with every problem of an answer file; a file that passes is well-formed and known."""
    problems = answer_problems(content)
    if problems:
        raise ConfigurationError(f"{name} is no answer file that Windows Setup would take", details=tuple(problems))


def answer_problems(content: bytes) -> list[str]:
    """Return what is wrong with an answer file."""
    try:
        root = ET.fromstring(content)  # noqa: S314 - our own text
    except ET.ParseError as error:
        return [f"not well-formed: {error}"]
    if root.tag != f"{UNATTEND}unattend":
        return [f"the root is {root.tag}"]
    return [*_structure(root), *_elements(root), *_orders(root), *_names(root)]


def _structure(root: ET.Element) -> Iterator[str]:
    passes = [settings.get("pass", "") for settings in root]
    if len(set(passes)) != len(passes):
        yield f"a pass occurs twice: {', '.join(passes)}"
    for settings in root:
        seen = set()
        for component in settings:
            name = component.get("name", "")
            place = f"{settings.get('pass')}/{name}"
            if name in seen:
                yield f"{place} occurs twice"
            seen.add(name)
            for attribute, value in _COMPONENT_ATTRIBUTES.items():
                if component.get(attribute) != value:
                    yield f"{place}: {attribute} is {component.get(attribute)!r}, not {value!r}"
            known = KNOWN.get((settings.get("pass", ""), name))
            if known is None:
                yield f"{place} is not a component of that pass that fltlab knows"
                continue
            for element in component:
                if _local(element) not in known:
                    yield f"{place}/{_local(element)} is not a setting that fltlab knows"


def _elements(root: ET.Element) -> Iterator[str]:
    for element in root.iter():
        tag, text = _local(element), (element.text or "").strip()
        if len(element) == 0 and not text:
            yield f"{tag} is empty"
        if not element.tag.startswith(UNATTEND):
            yield f"{tag} is in another namespace"
        if tag == "Path" and len(text) > _LONGEST_PATH:
            yield f"Path has {len(text)} characters, at most {_LONGEST_PATH} are allowed: {text[:40]}..."
        if tag == "CommandLine" and len(text) > _LONGEST_COMMAND_LINE:
            yield f"CommandLine has {len(text)} characters, at most {_LONGEST_COMMAND_LINE} are allowed"
        if _is_key(tag, element) and not FORM.fullmatch(text):
            yield f"{tag} is no product key"
        if tag == "ComputerName" and len(text) > _LONGEST_COMPUTER_NAME:
            yield f"ComputerName {text} is longer than {_LONGEST_COMPUTER_NAME} characters"
        if tag.endswith(("Command", "LocalAccount", "Partition")) and element.get(f"{WCM}action") != "add":
            yield f"{tag} lacks wcm:action"


def _is_key(tag: str, element: ET.Element) -> bool:
    """Whether an element holds a product key: itself in the specialize pass, in a `Key` of windowsPE."""
    return (tag == "ProductKey" and len(element) == 0) or (tag == "Key" and not (element.text or "").startswith("/"))


def _orders(root: ET.Element) -> Iterator[str]:
    for parent in root.iter():
        orders = [child.findtext(f"{UNATTEND}Order") for child in parent]
        numbers = [order for order in orders if order is not None]
        if numbers != [str(number) for number in range(1, len(numbers) + 1)]:
            yield f"the Order below {_local(parent)} is {', '.join(numbers)}"


def _names(root: ET.Element) -> Iterator[str]:
    """Windows makes no account with the computer's name, whatever the case, and OOBE then ends with an error."""
    computers = {(found.text or "").strip().casefold() for found in root.iter(f"{UNATTEND}ComputerName")}
    for account in root.iter(f"{UNATTEND}LocalAccount"):
        name = (account.findtext(f"{UNATTEND}Name") or "").strip()
        if name.casefold() in computers:
            yield f"the account {name} has the computer's name"
        if len(name) > _LONGEST_USER_NAME:
            yield f"the account {name} has a name longer than {_LONGEST_USER_NAME} characters"


def _local(element: ET.Element) -> str:
    return element.tag.rpartition("}")[2]

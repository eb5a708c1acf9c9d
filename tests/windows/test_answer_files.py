"""Answer files: valid against a schema, nothing in them that fltlab does not know, and what is wrong is named."""

from collections.abc import Callable
from pathlib import Path

import pytest
import xmlschema

from harness.errors import ConfigurationError
from harness.image.windows.answer_check import answer_problems
from harness.image.windows.plan import Plan, Source, build_inputs
from harness.image.windows.recipe import ACCOUNT, InstallMode, load_recipe, windows_images
from harness.image.windows.wim import Architecture, Edition

SCHEMA = xmlschema.XMLSchema(Path(__file__).with_name("unattend.xsd"))
KEY = "AAAAA-BBBBB-CCCCC-DDDDD-EEEEE"
PASSWORD = "Aa0-<&>\"' not for use"


def plan(name: str, source: Source = Source.ISO, mode: InstallMode = InstallMode.APPLY, **options: object) -> Plan:
    recipe = load_recipe(name, overrides=options.pop("overrides", None))
    edition_id = str(options.pop("edition_id", recipe.editions[0]))
    edition = Edition(
        *(4, "Windows", edition_id, recipe.installation, Architecture.X64),
        *(recipe.release.builds[0], 1, ("en-US",), "en-US", 0),
    )
    return Plan(recipe, source, edition if source is Source.ISO else None, mode, **options)


def setup_plan(name: str) -> Plan:
    evaluation = load_recipe(name).editions[0].endswith("Eval")
    return plan(name, mode=InstallMode.SETUP, product_key=None if evaluation else KEY)


KINDS: dict[str, Callable[[str], Plan]] = {
    "apply": plan,
    "setup": setup_plan,
    "import": lambda name: plan(name, Source.DISK),
}


def answer_files(inputs: dict[str, bytes]) -> dict[str, bytes]:
    return {name: content for name, content in inputs.items() if name.lower().endswith("unattend.xml")}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", windows_images())
def test_every_answer_file_is_valid_against_the_schema(name: str, kind: str) -> None:
    found = answer_files(build_inputs(KINDS[kind](name), PASSWORD))

    assert len(found) == {"apply": 2, "setup": 1, "import": 1}[kind]
    for content in found.values():
        SCHEMA.validate(content.decode())
        assert answer_problems(content) == []


def test_where_windows_setup_looks_for_each_answer_file() -> None:
    assert list(answer_files(build_inputs(plan("windows-11-24h2"), PASSWORD))) == [
        "Autounattend.xml",
        "fltlab/unattend.xml",
    ]
    assert list(answer_files(build_inputs(plan("windows-11-24h2", Source.DISK), PASSWORD))) == ["Unattend.xml"]


def test_only_the_passes_that_set_passwords_know_the_password() -> None:
    inputs = build_inputs(plan("windows-server-2022"), "Secret-1234-Secret")

    assert [name for name, content in inputs.items() if b"Secret-1234-Secret" in content] == ["fltlab/unattend.xml"]


def test_a_password_with_marks_of_xml_arrives_as_it_is() -> None:
    content = build_inputs(plan("windows-11-24h2"), PASSWORD)["fltlab/unattend.xml"].decode()
    found = SCHEMA.to_dict(content)

    accounts = found["settings"][1]["component"][1]["UserAccounts"]
    assert accounts[0]["AdministratorPassword"]["Value"] == PASSWORD


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("<TimeZone>UTC</TimeZone>", "<TimeZone></TimeZone>", "TimeZone is empty"),
        ("<TimeZone>UTC</TimeZone>", "<TimeZone>UTC</TimeZon>", "not well-formed"),
        ("<TimeZone>UTC</TimeZone>", "<Timezone>UTC</Timezone>", "Timezone is not a setting that fltlab knows"),
        ('pass="oobeSystem"', 'pass="specialize"', "a pass occurs twice"),
        ('pass="oobeSystem"', 'pass="windowsPE"', "windowsPE/Microsoft-Windows-Shell-Setup is not a component"),
        ('processorArchitecture="amd64"', 'processorArchitecture="x86"', "processorArchitecture is 'x86'"),
        ("<Order>1</Order>", "<Order>2</Order>", "the Order below"),
        ("<Path>cmd.exe", f"<Path>{'x' * 260}", "at most 259 are allowed"),
        ("<CommandLine>", f"<CommandLine>{'x' * 1000}", "at most 1024 are allowed"),
        ("FLTLAB</ComputerName>", "FLTLAB-0123456789</ComputerName>", "is longer than 15 characters"),
        ("FLTLAB</ComputerName>", "FLTLAB-User</ComputerName>", "the account fltlab-user has the computer's name"),
        ("<Name>fltlab-user", "<Name>fltlab-user-of-the-guest", "has a name longer than 20 characters"),
        (' wcm:action="add"', "", "lacks wcm:action"),
        ('xmlns="urn:schemas-microsoft-com:unattend"', "", "the root is unattend"),
    ],
)
def test_what_setup_would_silently_ignore_is_named(old: str, new: str, problem: str) -> None:
    content = build_inputs(plan("windows-11-24h2"), PASSWORD)["fltlab/unattend.xml"].decode()
    assert old in content

    assert any(problem in line for line in answer_problems(content.replace(old, new).encode()))


@pytest.mark.parametrize("name", ["windows-11-24h2", "windows-server-2025"])
@pytest.mark.parametrize("language", ["en-US", "fr-FR", "ru-RU"])
def test_the_administrator_logs_on_by_the_english_name_and_winrm_has_an_account_of_its_own(
    name: str, language: str
) -> None:
    content = build_inputs(plan(name, overrides={"language": language}), PASSWORD)["fltlab/unattend.xml"].decode()

    assert content.count("<Username>Administrator</Username>") == 1
    assert content.count(f"<Name>{ACCOUNT}</Name>") == 1


def test_setup_mode_needs_a_product_key_unless_it_is_evaluation_media() -> None:
    with pytest.raises(ConfigurationError, match="asks for a product key"):
        plan("windows-11-24h2", mode=InstallMode.SETUP, edition_id="Professional")
    with pytest.raises(ConfigurationError, match="take no product key"):
        plan("windows-server-2022", mode=InstallMode.SETUP, product_key=KEY)


def test_a_product_key_shows_in_no_representation_of_the_plan() -> None:
    assert KEY not in repr(plan("windows-11-24h2", mode=InstallMode.SETUP, product_key=KEY))


def test_a_product_key_is_used_where_windows_is_set_up_and_nowhere_else() -> None:
    inputs = build_inputs(plan("windows-11-24h2", product_key=KEY, edition_id="Professional"), PASSWORD)

    assert [name for name, content in inputs.items() if KEY.encode() in content] == ["fltlab/unattend.xml"]
    specialize, oobe = inputs["fltlab/unattend.xml"].decode().split('pass="oobeSystem"')
    assert specialize.count(f"<ProductKey>{KEY}</ProductKey>") == 1
    assert "ProductKey" not in oobe


@pytest.mark.parametrize("mode", list(InstallMode))
def test_a_key_that_is_none_is_named_without_being_told(mode: InstallMode) -> None:
    wrong = "AAAAA-BBBBB-CCCCC-DDDDD"
    with pytest.raises(ConfigurationError, match="Key is no product key") as caught:
        build_inputs(plan("windows-11-24h2", mode=mode, product_key=wrong, edition_id="Professional"), PASSWORD)

    assert wrong not in str(caught.value)


def test_evaluation_media_get_no_key_element_at_all() -> None:
    inputs = build_inputs(setup_plan("windows-server-2022"), PASSWORD)

    assert b"<Key>/IMAGE/INDEX</Key>" in inputs["Autounattend.xml"]
    assert inputs["Autounattend.xml"].count(b"<Key>") == 1


def test_the_image_is_picked_by_index_and_never_by_name() -> None:
    assert b'set "INDEX=4"' in build_inputs(plan("windows-11-24h2"), PASSWORD)["fltlab/install.cmd"]
    assert b"<Value>4</Value>" in build_inputs(setup_plan("windows-11-24h2"), PASSWORD)["Autounattend.xml"]


def test_a_character_that_the_guest_would_read_differently_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="would have the character 'ü'"):
        build_inputs(plan("windows-11-24h2", overrides={"provisioning": {"time_zone": "Zürich"}}), PASSWORD)

"""The driver to be tried is found from whatever its author has, and what was made up for it is said."""

import shutil
from pathlib import Path

import pytest

from harness.errors import ConfigurationError
from harness.fleet.drivers import Drivers, build_alone
from harness.fleet.trial.candidate import find_candidate
from harness.guest import inf
from harness.minifilter.package import load_package
from harness.minifilter.registry import RegistryValue, of_parameters, of_reg_file

HERE = Path(__file__).parent
REG = r"""Windows Registry Editor Version 5.00

; a comment
[HKEY_LOCAL_MACHINE\SYSTEM\CurrentControlSet\Services\Scanner\Parameters]
"Level"=dword:0000000a
"Name"="C:\\quoted \"name\""
"Raw"=hex:01,02,\
  ff
"Many"=hex(7):61,00,00,00,62,00,00,00,00,00
@="default"
"""


@pytest.fixture(scope="module")
def image() -> Path:
    return build_alone(load_package(HERE / "refuser" / "driver.yaml")).sys


@pytest.fixture
def release(image: Path, tmp_path: Path) -> Path:
    """What an author's build leaves: the .sys in a folder of its own, and its INF above."""
    (tmp_path / "x64").mkdir()
    shutil.copy(image, tmp_path / "x64" / "refuser.sys")
    shutil.copy(HERE / "refuser" / "refuser.inf", tmp_path)
    return tmp_path


def test_of_a_bare_image_everything_is_made_up_and_said(image: Path, tmp_path: Path) -> None:
    shutil.copy(image, tmp_path / "My Filter_2.sys")

    found = find_candidate(tmp_path)

    assert (found.title, found.service, found.package.name) == ("My Filter_2", "My Filter_2", "my-filter-2")
    assert found.made_up[0].startswith("altitude 370030")
    assert found.read == ()


@pytest.mark.parametrize("what", [".", "refuser.inf"])
def test_an_inf_gives_names_altitude_and_registry(release: Path, what: str) -> None:
    found = find_candidate(release / what)

    assert (found.service, found.instance, str(found.altitude)) == (
        "RefuserService",
        "Refuser Top Instance",
        "365432.5",
    )
    assert found.attaches_by_itself
    assert found.made_up == ()
    entry = inf.named(_placed(found), found.package)
    values = list(inf.values(entry, found.package))
    assert RegistryValue("Parameters", "Refuse", "REG_SZ", "two.txt") in values
    assert RegistryValue("Parameters", "Level", "REG_DWORD", "3") in values
    assert not any(value.name == "Altitude" for value in values)  # the stack's is the last word


def _placed(found):
    from harness.guest.stack import parse_stack, place

    return place(parse_stack(f"{found.package.name}#{found.altitude}"))[0]


def test_a_driver_yaml_is_asked_first() -> None:
    found = find_candidate(HERE / "refuser")

    assert found.read == ("driver.yaml",)
    assert found.service == "refuser"


def test_sources_are_a_driver_where_one_registers_it(tmp_path: Path) -> None:
    src = tmp_path / "My Filter" / "src"
    src.mkdir(parents=True)
    shutil.copy(HERE / "refuser" / "refuser.c", src)
    (src / "helper.CPP").write_text("")
    (tmp_path / "tool.c").write_text("int main(void) { return 0; }")
    bare = find_candidate(tmp_path)

    assert [path.name for path in bare.package.sources] == ["helper.CPP", "refuser.c"]
    assert (bare.title, bare.made_up[-1]) == ("src", "a driver of helper.CPP, refuser.c")

    shutil.copy(HERE / "refuser" / "refuser.inf", tmp_path)
    found = find_candidate(tmp_path)
    assert (found.service, str(found.altitude)) == ("RefuserService", "365432.5")
    assert found.made_up == ("a driver of helper.CPP, refuser.c",)
    assert found.package.sources == bare.package.sources

    (tmp_path / "second").mkdir()
    shutil.copy(HERE / "refuser" / "refuser.c", tmp_path / "second")
    with pytest.raises(ConfigurationError, match="several drivers"):
        find_candidate(tmp_path)


def test_an_altitude_that_an_inf_leaves_open_is_made_up_and_said(release: Path) -> None:
    inf = release / "refuser.inf"
    inf.write_text(inf.read_text().replace('"365432.5"', '"_TODO_Change_Altitude_appropriately_"'))

    found = find_candidate(release)

    assert (found.instance, str(found.altitude)) == ("Refuser Top Instance", "370030")
    assert "leaves open" in found.read[0]
    assert found.made_up == ("altitude 370030 (FSFilter Activity Monitor)",)


def test_an_inf_whose_instances_nothing_installs_is_refused_and_told_beside_its_image(release: Path) -> None:
    text = (HERE / "refuser" / "refuser.inf").read_text(encoding="utf-8")
    named = next(line for line in text.splitlines() if line.lower().startswith("addreg"))
    (release / "refuser.inf").write_text(text.replace(named, ""))
    section = named.partition("=")[2].split(",")[0].strip()

    with pytest.raises(ConfigurationError, match="registers no instance") as refused:
        find_candidate(release)
    assert f"AddReg = {section.lower()} in [" in str(refused.value.details)

    shutil.move(release / "x64" / "refuser.sys", release)
    found = find_candidate(release / "refuser.sys")
    assert "refuser.inf cannot be used: it registers no instance" in found.read[0]
    assert found.made_up[0].startswith("altitude 370030")

    (release / "second.inf").write_text(text)
    assert find_candidate(release / "refuser.sys").package.inf == Path("second.inf")


def test_a_file_that_copyfiles_names_alone_is_the_driver_of_an_inf(release: Path) -> None:
    text = (HERE / "refuser" / "refuser.inf").read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if "refuser.sys" not in line.lower() or "ServiceBinary" in line]
    (release / "refuser.inf").write_text(
        "\n".join(lines).replace("CopyFiles", "; ") + "\n[DefaultInstall.NTamd64]\nCopyFiles = @refuser.sys\n"
    )

    assert find_candidate(release).package.binary == Path("x64/refuser.sys")


def test_what_leads_to_no_driver_or_to_several_is_told(image: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="has no driver"):
        find_candidate(tmp_path)
    for name in ("one.sys", "two.sys"):
        shutil.copy(image, tmp_path / name)
    with pytest.raises(ConfigurationError, match="several drivers"):
        find_candidate(tmp_path)
    (tmp_path / "notes.txt").write_text("")
    with pytest.raises(ConfigurationError, match="is no driver"):
        find_candidate(tmp_path / "notes.txt")
    with pytest.raises(ConfigurationError, match="there is no"):
        find_candidate(tmp_path / "three.sys")


@pytest.mark.parametrize("what", [".", "refuser.inf", "filter/refuser.vcxproj"])
def test_a_solution_of_a_driver_and_its_program_is_the_driver(tmp_path: Path, what: str) -> None:
    item = "<Project><PropertyGroup><ConfigurationType>{}</ConfigurationType></PropertyGroup><ItemGroup>"
    item += '<ClCompile Include="{}.c" /><Inf Include="*.inf" /><Inf Include="{}" /></ItemGroup></Project>'
    for folder, kind, inf_ in (("filter", "Driver", r"..\refuser.inf"), ("user", "Application", "none.inf")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "refuser.vcxproj").write_text(item.format(kind, folder, inf_))
        (tmp_path / folder / f"{folder}.c").touch()
    shutil.copy(HERE / "refuser" / "refuser.inf", tmp_path)

    found = find_candidate(tmp_path / what)

    assert (found.service, found.package.sources) == ("RefuserService", (Path("filter.c"),))
    with pytest.raises(ConfigurationError, match="builds no driver"):
        find_candidate(tmp_path / "user" / "refuser.vcxproj")


def test_a_project_that_no_driver_yaml_names_is_told_where_a_suite_wants_it(tmp_path: Path) -> None:
    (tmp_path / "shadow.vcxproj").write_text("")

    with pytest.raises(ConfigurationError, match=r"shadow\.vcxproj has no driver\.yaml that says so"):
        Drivers((tmp_path,)).require("shadow")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_a_reg_file_is_read_as_regedit_writes_it(tmp_path: Path, encoding: str) -> None:
    file = tmp_path / "x.reg"
    file.write_text(REG, encoding=encoding)
    key = r"HKLM\SYSTEM\CurrentControlSet\Services\Scanner\Parameters"

    assert of_reg_file(file) == (
        RegistryValue(key, "Level", "REG_DWORD", "10"),
        RegistryValue(key, "Name", "REG_SZ", r'C:\quoted "name"'),
        RegistryValue(key, "Raw", "REG_BINARY", "0102ff"),
        RegistryValue(key, "Many", "REG_MULTI_SZ", r"a\0b"),
        RegistryValue(key, "", "REG_SZ", "default"),
    )


@pytest.mark.parametrize("text", ['"before"=dword:1', "[HKEY_USERS\\X]", '[HKEY_LOCAL_MACHINE\\X]\n"a"=dword:zz'])
def test_a_reg_file_that_is_wrong_is_refused_with_its_line(tmp_path: Path, text: str) -> None:
    file = tmp_path / "x.reg"
    file.write_text(text)

    with pytest.raises(ConfigurationError, match=r"x\.reg line \d"):
        of_reg_file(file)


def test_parameters_of_a_driver_yaml_have_the_type_of_their_value() -> None:
    given = {"Level": 3, "On": True, "Name": "x", "Many": ("a", "b"), "Large": 1 << 40}

    assert [(value.name, value.type, value.data) for value in of_parameters(given)] == [
        ("Level", "REG_DWORD", "3"),
        ("On", "REG_DWORD", "1"),
        ("Name", "REG_SZ", "x"),
        ("Many", "REG_MULTI_SZ", r"a\0b"),
        ("Large", "REG_QWORD", str(1 << 40)),
    ]

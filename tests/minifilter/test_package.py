"""driver.yaml: what is taken, and what is refused with which words."""

import shutil
from pathlib import Path

import pytest

from harness.contract.catalogue import Kind, load_catalogue
from harness.errors import ConfigurationError
from harness.fleet.drivers import Drivers
from harness.minifilter.imports import SUPPORT
from harness.minifilter.package import Control, PackageKind, find_packages, load_package, require_files

GOOD = "name: mine\ndescription: a driver\nsources: [mine.c]\n"


def written(directory: Path, text: str) -> Path:
    (directory / "mine.c").write_text("")
    (directory / "driver.yaml").write_text(text)
    return directory / "driver.yaml"


def test_what_is_not_said_has_a_default(tmp_path: Path):
    package = load_package(written(tmp_path, GOOD))

    assert package.kind is PackageKind.DRIVER
    assert package.control is Control.FLTLAB
    assert package.group == "FSFilter Activity Monitor"
    assert package.image_name == "mine.sys"
    assert package.path(package.sources[0]) == tmp_path / "mine.c"
    assert not package.common


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "does not describe a driver"),
        ("- a\n- list\n", "does not describe a driver"),
        ("name: [unclosed\n", "is not YAML"),
        ("name: mine\ndescription: x\n", "either sources"),
        (GOOD + "binary: mine.c\n", "either sources"),
        (GOOD + "altitud: '3'\n", "altitud: Extra inputs are not permitted"),
        (GOOD + "altitude: high\n", "altitude"),
        (GOOD + "violates: nonsense\n", "violates"),
        (GOOD.replace("mine\n", "Mine Own\n", 1), "name"),
        (GOOD + "directory: /tmp\n", "does not describe a driver"),
    ],
)
def test_a_wrong_package_is_refused_with_its_file_and_its_key(text: str, complaint: str, tmp_path: Path):
    with pytest.raises(ConfigurationError) as failed:
        load_package(written(tmp_path, text))

    assert complaint in str(failed.value)
    assert str(tmp_path / "driver.yaml") in str(failed.value)


def test_a_missing_file_and_a_missing_directory_are_named(tmp_path: Path):
    with pytest.raises(ConfigurationError, match="cannot be read"):
        load_package(tmp_path / "driver.yaml")
    with pytest.raises(ConfigurationError, match="no directory"):
        find_packages(tmp_path / "none")


@pytest.mark.parametrize("key", ["sources: [other.c]", "binary: other.sys", "sources: [mine.c]\ninf: other.inf"])
def test_a_file_that_is_not_there_is_named(key: str, tmp_path: Path):
    package = load_package(written(tmp_path, f"name: mine\ndescription: a driver\n{key}\n"))

    with pytest.raises(ConfigurationError, match=r"driver\.yaml names other\.\w+, which is not there"):
        require_files(package)


def test_two_drivers_of_one_name_are_refused(tmp_path: Path):
    for directory in (tmp_path / "a", tmp_path / "b"):
        directory.mkdir()
        written(directory, GOOD)

    with pytest.raises(ConfigurationError, match="two drivers are called mine"):
        find_packages(tmp_path)


def test_every_core_obligation_has_a_driver_that_breaks_it():
    broken = {package.violates for package in find_packages(SUPPORT).values() if package.violates}
    core = {rule.id for rule in load_catalogue().rules if rule.core and rule.kind is Kind.OBLIGATION}

    assert core <= broken


def test_a_wrong_driver_names_an_obligation_of_the_catalogue():
    obligations = {rule.id for rule in load_catalogue().rules if rule.kind is Kind.OBLIGATION}
    broken = {package.violates for package in find_packages(SUPPORT).values() if package.violates}

    assert broken <= obligations


def test_drivers_that_break_rules_live_apart_from_the_others():
    for package in find_packages(SUPPORT).values():
        assert (package.violates is not None) == (package.directory.parent.name == "wrong"), package.name


def test_a_project_or_an_inf_with_its_driver_needs_no_driver_yaml(tmp_path: Path):
    pathguard = SUPPORT.parent / "docs" / "examples" / "pathguard"
    shutil.copytree(pathguard, tmp_path / "project", ignore=shutil.ignore_patterns("driver.yaml", "build"))
    (tmp_path / "release").mkdir()
    (tmp_path / "release" / "My Filter.sys").write_bytes(b"")
    shutil.copy(pathguard / "pathguard.inf", tmp_path / "release" / "My Filter.inf")
    shutil.copytree(pathguard, tmp_path / "described", ignore=shutil.ignore_patterns("build"))
    yaml = tmp_path / "described" / "driver.yaml"
    yaml.write_text(yaml.read_text().replace("name: pathguard", "name: described"))

    found = find_packages(tmp_path)

    assert {name: package.described for name, package in found.items()} == {
        "described": True, "my-filter": False, "pathguard": False,
    }  # fmt: skip
    assert (found["my-filter"].binary, found["my-filter"].inf) == (Path("My Filter.sys"), Path("My Filter.inf"))
    assert found["pathguard"].inf == Path("pathguard.inf")
    assert [source.name for source in found["pathguard"].sources] == ["pathguard.c"]


def test_a_project_called_as_a_driver_of_ours_is_not_in_its_way(tmp_path: Path):
    pathguard = SUPPORT.parent / "docs" / "examples" / "pathguard"
    shutil.copy(pathguard / "pathguard.vcxproj", tmp_path / "passthrough.vcxproj")
    shutil.copy(pathguard / "pathguard.c", tmp_path)

    assert Drivers((tmp_path,)).package("passthrough").directory == SUPPORT / "passthrough"

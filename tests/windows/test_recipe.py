"""image.yaml of the Windows images: small files over common defaults, refused when they make no sense."""

from pathlib import Path

import pytest
import yaml

from harness.errors import ConfigurationError
from harness.image.windows.recipe import WinRmMode, load_recipe, windows_images
from harness.shipped import IMAGES


def test_there_is_a_recipe_for_each_supported_release() -> None:
    assert windows_images() == (
        "windows-10-22h2",
        "windows-11-23h2",
        "windows-11-24h2",
        "windows-11-25h2",
        "windows-server-2019",
        "windows-server-2022",
        "windows-server-2025",
    )


@pytest.mark.parametrize("name", windows_images())
def test_a_release_is_one_small_file(name: str) -> None:
    text = (IMAGES / name / "image.yaml").read_text()

    assert len(text.splitlines()) < 20
    assert load_recipe(name).provisioning.winrm is WinRmMode.NTLM


def write_recipe(tmp_path: Path, **changes: object) -> Path:
    values = yaml.safe_load((IMAGES / "windows-11-24h2" / "image.yaml").read_text())
    (tmp_path / "windows-test").mkdir()
    (tmp_path / "windows-test" / "image.yaml").write_text(yaml.safe_dump({**values, "name": "windows-test", **changes}))
    return tmp_path


def test_a_new_release_needs_nothing_but_its_own_file(tmp_path: Path) -> None:
    release = {"product": "client", "version": "26H2", "builds": [26300]}

    recipe = load_recipe("windows-test", write_recipe(tmp_path, release=release, machine={"memory_mib": 8192}))

    assert recipe.release.builds == (26300,)
    assert recipe.machine.memory_mib == 8192
    assert recipe.machine.system_disk_gib == 40


def test_an_unknown_key_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError) as caught:
        load_recipe("windows-test", write_recipe(tmp_path, machine={"memory": 1}))

    assert "machine.memory" in str(caught.value)


def test_an_unknown_image_lists_what_there_is() -> None:
    with pytest.raises(ConfigurationError, match="no Windows image 'windows-xp'") as caught:
        load_recipe("windows-xp")

    assert "windows-server-2022" in caught.value.details[0]


def test_a_name_other_than_its_directory_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="must be 'windows-test'"):
        load_recipe("windows-test", write_recipe(tmp_path, name="windows-11-24h2"))


def test_secure_boot_and_test_signing_exclude_each_other(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="exclude each other"):
        load_recipe("windows-test", write_recipe(tmp_path, machine={"secure_boot": True}))


@pytest.mark.parametrize("language", ["en-GB", "de-DE", "fr-FR", "pt-BR", "ja-JP", "zh-TW", "ru-RU"])
def test_a_language_that_there_are_tables_of_is_taken(language: str) -> None:
    assert load_recipe("windows-11-24h2", overrides={"language": language}).language == language


def test_a_language_that_there_is_no_table_of_is_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"no table of what Windows' programs print in sv-SE(.|\n)*best en-US"):
        load_recipe("windows-11-24h2", overrides={"language": "sv-SE"})

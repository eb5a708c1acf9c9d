"""Picking the edition to install: one that is right, or a refusal that lists what there is."""

from dataclasses import replace
from pathlib import Path

import pytest

from harness.image.windows.edition import EditionError, choose_edition
from harness.image.windows.media import Media
from harness.image.windows.recipe import Recipe, load_recipe, windows_images
from harness.image.windows.wim import Architecture, Edition


def edition(index: int, edition_id: str, installation: str = "Client", **more: object) -> Edition:
    known = Edition(
        index, f"Windows {edition_id}", edition_id, installation, Architecture.X64, 26100, 1, ("en-US",), "en-US", 0
    )
    return replace(known, **more)


def media(*editions: Edition) -> Media:
    return Media(
        Path("/isos/windows.iso"), 1, "CCCOMA_X64FRE", "/sources/install.wim", editions, 300, frozenset({"x64"})
    )


@pytest.fixture
def client() -> Recipe:
    return load_recipe("windows-11-24h2")


@pytest.fixture
def server() -> Recipe:
    return load_recipe("windows-server-2025")


SERVERS = (
    edition(1, "ServerStandardEval", "Server Core"),
    edition(2, "ServerStandardEval", "Server"),
    edition(3, "ServerDatacenterEval", "Server Core"),
    edition(4, "ServerDatacenterEval", "Server"),
)


def test_the_recipes_first_edition_on_the_iso_is_taken(client: Recipe) -> None:
    there = media(edition(1, "Core"), edition(2, "Professional"), edition(3, "Enterprise"))

    assert choose_edition(there, client).index == 3


def test_a_server_with_desktop_is_told_from_server_core(server: Recipe) -> None:
    assert choose_edition(media(*SERVERS), server).index == 2


def test_an_index_an_id_and_a_name_all_pick(client: Recipe) -> None:
    there = media(edition(1, "Core"), edition(2, "ProfessionalN"), edition(3, "Enterprise"))

    assert choose_edition(there, client, "1").edition_id == "Core"
    assert choose_edition(there, client, "professionaln").index == 2
    assert choose_edition(there, client, "Windows ProfessionalN").index == 2


def refusal(there: Media, recipe: Recipe, wanted: str | None = None) -> EditionError:
    with pytest.raises(EditionError) as caught:
        choose_edition(there, recipe, wanted)
    assert caught.value.hint
    return caught.value


def test_an_edition_that_is_not_there_is_refused_with_a_list(client: Recipe) -> None:
    error = refusal(media(edition(1, "Core"), edition(2, "Professional")), client, "Enterprise")

    assert error.message == "--edition Enterprise is no edition on windows.iso"
    assert any("Professional" in line for line in error.details)


def test_an_ambiguous_name_is_refused(client: Recipe) -> None:
    there = media(edition(1, "Professional"), edition(2, "Professional"))

    assert "matches several editions" in refusal(there, client, "Professional").message
    assert "2 images of Professional" in refusal(there, client).message


def test_an_iso_without_any_of_the_recipes_editions_is_refused(client: Recipe) -> None:
    assert "has no edition that windows-11-24h2 asks for" in refusal(media(edition(1, "Core")), client).message


def test_an_arm64_iso_is_refused(client: Recipe) -> None:
    there = media(edition(1, "Professional", architecture=Architecture.ARM64))

    assert "is for ARM64 processors" in refusal(there, client).message


def test_an_iso_of_another_release_is_refused(client: Recipe, server: Recipe) -> None:
    old = media(edition(1, "Professional", build=19041))

    assert "is not Windows 11, version 24H2: its build is 19041, not 26100" in refusal(old, client).message
    assert "has no edition" in refusal(old, server).message


def test_an_iso_in_another_language_is_refused(client: Recipe) -> None:
    german = media(edition(1, "Professional", languages=("de-DE",)))

    assert "is not in en-US: its languages are de-DE" in refusal(german, client).message
    assert choose_edition(german, load_recipe("windows-11-24h2", overrides={"language": "de-DE"})).index == 1


@pytest.mark.parametrize("name", windows_images())
def test_every_release_has_a_recipe_that_fits_its_own_media(name: str) -> None:
    recipe = load_recipe(name)

    for edition_id in recipe.editions:
        for build in recipe.release.builds:
            one = edition(1, edition_id, recipe.installation, build=build)
            assert choose_edition(media(one), recipe) == one

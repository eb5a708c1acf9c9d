"""Which of the editions on an ISO is installed: exactly one, or an error that lists what there is."""

from harness.errors import ConfigurationError
from harness.image.windows.media import Media
from harness.image.windows.recipe import Recipe
from harness.image.windows.wim import Architecture, Edition


class EditionError(ConfigurationError):
    """The ISO has no edition that fits, or several."""


def choose_edition(media: Media, recipe: Recipe, wanted: str | None = None) -> Edition:
    """Return the edition to install: the one the user asked for (`wanted`), or the first of the recipe's list.

    `wanted` is an index, an edition id or an exact name. The edition must be x64, of the recipe's release and
    language.
    """
    editions = _for_x64(media, recipe)
    chosen = _asked_for(media, editions, recipe, wanted) if wanted else _preferred(media, editions, recipe)
    _check_release(media, chosen, recipe)
    _check_language(media, chosen, recipe)
    return chosen


def _for_x64(media: Media, recipe: Recipe) -> tuple[Edition, ...]:
    editions = tuple(edition for edition in media.editions if edition.architecture is Architecture.X64)
    if editions:
        return editions
    found = sorted({edition.architecture.name if edition.architecture else "unknown" for edition in media.editions})
    raise EditionError(
        f"{media.path.name} is for {' and '.join(found)} processors; fltlab's guests are x64",
        details=media.list_editions(),
        hint=f"use the x64 ISO of {recipe.description}",
    )


def _asked_for(media: Media, editions: tuple[Edition, ...], recipe: Recipe, wanted: str) -> Edition:
    if wanted.isdecimal():
        found = [edition for edition in editions if edition.index == int(wanted)]
    else:
        folded = wanted.casefold()
        found = [edition for edition in editions if folded in {edition.edition_id.casefold(), edition.name.casefold()}]
        same_kind = [edition for edition in found if edition.installation == recipe.installation]
        found = same_kind if len(found) > 1 and same_kind else found
    if len(found) == 1:
        return found[0]
    problem = "matches several editions" if found else "is no edition"
    raise EditionError(
        f"--edition {wanted} {problem} on {media.path.name}",
        details=media.list_editions(),
        hint="--edition takes an index from this list",
    )


def _preferred(media: Media, editions: tuple[Edition, ...], recipe: Recipe) -> Edition:
    candidates = [edition for edition in editions if edition.installation in {recipe.installation, ""}]
    for edition_id in recipe.editions:
        found = [edition for edition in candidates if edition.edition_id.casefold() == edition_id.casefold()]
        if len(found) == 1:
            return found[0]
        if found:
            raise EditionError(
                f"{media.path.name} has {len(found)} images of {edition_id}: it is not clear which one is meant",
                details=media.list_editions(),
                hint="--edition INDEX picks one",
            )
    raise EditionError(
        f"{media.path.name} has no edition that {recipe.name} asks for ({recipe.installation}:"
        f" {', '.join(recipe.editions)})",
        details=media.list_editions(),
        hint="--edition INDEX picks one of these",
    )


def _check_release(media: Media, edition: Edition, recipe: Recipe) -> None:
    if edition.build not in recipe.release.builds:
        builds = " or ".join(map(str, recipe.release.builds))
        raise EditionError(
            f"{media.path.name} is not {recipe.description}: its build is {edition.build or 'unknown'}, not {builds}",
            details=media.list_editions(),
            hint="fltlab image list   shows which image is for which release",
        )


def _check_language(media: Media, edition: Edition, recipe: Recipe) -> None:
    if recipe.language not in edition.languages:
        there = ", ".join(edition.languages) or "none that it names"
        raise EditionError(
            f"{media.path.name} is not in {recipe.language}: its languages are {there}",
            details=("Windows Setup stops at its language page when the answer file asks for a language it lacks",),
            hint="--language takes one of the ISO's languages; output of fltmc is best read in en-US",
        )

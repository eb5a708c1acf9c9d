"""The answer files and scripts in vm-images/common/windows, and what Windows demands of their encoding."""

from collections.abc import Mapping

import jinja2

from harness.errors import ConfigurationError
from harness.image.windows.recipe import COMMON

_ENVIRONMENT = jinja2.Environment(
    loader=jinja2.FileSystemLoader(COMMON),
    autoescape=jinja2.select_autoescape(enabled_extensions=("xml.j2",), disabled_extensions=("cmd.j2",)),
    undefined=jinja2.StrictUndefined,
    keep_trailing_newline=True,
)


def render(template: str, values: Mapping[str, object]) -> bytes:
    """Return a template filled in, as the guest is to have it; an unknown name in it is an error."""
    return as_guest_text(_ENVIRONMENT.get_template(template).render(values), template)


def static(name: str) -> str:
    """Return a file that is no template."""
    return (COMMON / name).read_text(encoding="utf-8")


def guest_scripts() -> dict[str, str]:
    """Return the scripts that go into the guest, by their names."""
    return {path.name: path.read_text(encoding="utf-8") for path in sorted((COMMON / "guest").iterdir())}


def as_guest_text(text: str, name: str) -> bytes:
    r"""Return a text in ASCII with lines ending in \r\n: the one form that cmd, PowerShell 5.1 and Setup all read."""
    try:
        return "\r\n".join(text.splitlines()).encode("ascii") + b"\r\n"
    except UnicodeEncodeError as error:
        raise ConfigurationError(
            f"{name} would have the character {error.object[error.start]!r}",
            details=("PowerShell 5.1 and cmd read such files in the guest's own code page",),
            hint="use names in plain ASCII",
        ) from error

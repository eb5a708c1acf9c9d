"""How the reference kernel of a guest is started."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class KernelOptions:
    """The scheduler's seed, the breaks of the contract built in, and the choices where the contract is open."""

    seed: int = 1
    mutants: tuple[str, ...] = ()
    policies: tuple[tuple[str, str], ...] = ()
    file_system: tuple[Path, Path] | None = None
    """A file-system driver and the image of a disk, for volume V:; on this machine only."""
    format: str = ""
    """What V: is formatted with: ntfs (the default), refs, exfat or fat32."""
    coverage: bool = False
    """Whether it counts which code of drivers runs."""
    data: tuple[str, ...] = ()
    """Further data volumes: `W:`, `W:fat32`, `W:fat32,removable`."""

    def words(self) -> list[str]:
        """The options as words of a command line."""
        words = ["--seed", str(self.seed)]
        for mutant in self.mutants:
            words += ["--mutant", mutant]
        for name, choice in self.policies:
            words += ["--policy", f"{name}={choice}"]
        if self.file_system is not None:
            driver, image = self.file_system
            words += ["--file-system", str(driver), "--disk", str(image)]
        if self.format:
            words += ["--filesystem", self.format]
        if self.coverage:
            words.append("--coverage")
        for volume in self.data:
            words += ["--data", volume]
        return words


def volume_details(options: KernelOptions) -> dict[str, str]:
    """What a report says of a guest's volumes, where they are not the usual ones."""
    found = {"file system": options.format} if options.format else {}
    return found | ({"data volumes": " ".join(options.data)} if options.data else {})

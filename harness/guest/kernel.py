"""How the reference kernel of a guest is started."""

from dataclasses import dataclass


@dataclass(frozen=True)
class KernelOptions:
    """The scheduler's seed, the breaks of the contract built in, and the choices where the contract is open."""

    seed: int = 1
    mutants: tuple[str, ...] = ()
    policies: tuple[tuple[str, str], ...] = ()

    def words(self) -> list[str]:
        """The options as words of a command line."""
        words = ["--seed", str(self.seed)]
        for mutant in self.mutants:
            words += ["--mutant", mutant]
        for name, choice in self.policies:
            words += ["--policy", f"{name}={choice}"]
        return words

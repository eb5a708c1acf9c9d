"""Choices: what the documentation leaves open, each a named policy with its allowed values (contract: open questions).

`--policy name=value` sets one. The default is the first value; it is the one the catalogue's notes suggest.
"""

from collections.abc import Mapping


class Policy:
    """The choices of one kernel."""

    CHOICES: Mapping[str, tuple[str, ...]] = {
        "resume-synchronize": ("report", "accept"),
        "post-create-thread": ("pre-thread", "originator"),
        "fast-io-irql": ("passive", "apc"),
        "resume-complete-posts": ("resumer",),
        "pending-context": ("report", "ignore"),
        "cleanup-close-status": ("strict", "any-success"),
        "cancel-callback-lock": ("released", "held"),
        "fsfilter-completion": ("refuse", "accept"),
        "detach-without-query": ("refuse", "allow"),
        "fast-io-resend": ("always", "never"),
        "io-status-fill": ("pattern", "zero"),
        "attribute-query": ("network-query-open", "query-open", "open"),
        "name-provider-format": ("as-requested", "opened"),
        "dismount-teardown": ("at-once", "with-the-device"),
        "pageable": ("enforce", "ignore"),
        "preemption": ("seeded", "none"),
    }

    def __init__(self, choices: Mapping[str, str] | None = None) -> None:
        self._values = {name: allowed[0] for name, allowed in self.CHOICES.items()}
        for name, value in (choices or {}).items():
            if name not in self.CHOICES:
                raise ValueError(f"no policy is called {name!r}; there are {', '.join(sorted(self.CHOICES))}")
            if value not in self.CHOICES[name]:
                raise ValueError(f"policy {name} is one of {', '.join(self.CHOICES[name])}, not {value!r}")
            self._values[name] = value

    def __getitem__(self, name: str) -> str:
        return self._values[name]

    def as_dict(self) -> dict[str, str]:
        """All choices."""
        return dict(self._values)

"""The documented contract of the filter manager: the catalogue of rules, and which of them are covered and guarded."""

from harness.contract.catalogue import Area, Catalogue, Kind, Rule, load_catalogue
from harness.contract.coverage import EVERY_CLASS, rule_classes, rule_coverage
from harness.contract.proven import Guard, load_guards, load_proven

__all__ = [
    "EVERY_CLASS",
    "Area",
    "Catalogue",
    "Guard",
    "Kind",
    "Rule",
    "load_catalogue",
    "load_guards",
    "load_proven",
    "rule_classes",
    "rule_coverage",
]

"""Evaluations run for a time, as the guest itself said when it was built: told before the end, refused after it."""

import logging
from collections.abc import Mapping
from datetime import date

from harness.errors import ConfigurationError

log = logging.getLogger(__name__)

WARN_DAYS = 14


def check_expiry(name: str, facts: Mapping[str, object], today: date) -> None:
    """Raise ConfigurationError for an image whose evaluation is over; warn in its last two weeks."""
    text = facts.get("expires")
    if not text:
        return
    expires = date.fromisoformat(str(text))
    left = (expires - today).days
    if left < 0:
        raise ConfigurationError(
            f"the licence of {name} ended on {expires}: Windows would switch itself off every hour",
            hint=f"fltlab image remove {name}, and build it again; an evaluation runs longest with --activate",
        )
    if left <= WARN_DAYS:
        log.warning("the licence of %s ends on %s, in %d days; then it must be built again", name, expires, left)

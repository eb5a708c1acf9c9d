"""A worker of pytest-xdist that dies costs the test that it ran: the rest of its file goes to another worker.

By itself, `--dist loadfile` gives the whole file to the next worker, that test included, which then dies too.
"""

from typing import Any

import pytest


def workers_of(config: pytest.Config) -> int:
    """Among how many processes the tests are shared out; 1 without pytest-xdist."""
    return len(config.getoption("tx", None) or ()) or 1


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Share tests out by files, as `fltlab run -n` asks for."""
    if config.getvalue("dist") != "loadfile":
        return None
    from xdist.scheduler import LoadFileScheduling

    class OneTestLost(LoadFileScheduling):  # type: ignore[misc]
        def remove_node(self, node: Any) -> str | None:
            work = self.assigned_work.get(node, {})
            for unit in work.values():
                for nodeid, completed in unit.items():
                    if not completed:
                        unit[nodeid] = True
                        super().remove_node(node)
                        return str(nodeid)
            super().remove_node(node)
            return None

    return OneTestLost(config, log)

"""Words that the tests of the drivers' own code share."""

from collections.abc import Callable

import pytest

from harness.minifilter.events import Mechanism, Phase
from harness.nt import IrpMajor
from tests.minifilter.stub_filter_manager import Stub

Load = Callable[..., Stub]

PAGING_IO, HOLD, CONTEXT, RACE, READ_OWN, OFFSET, NOT_DIRTY = (1 << n for n in range(7))
SET_CONTEXT, PRE_CONTEXT, POST_CONTEXT, POST_STATUS, POST_HOLD = (1 << n for n in range(7, 12))
NO_CALLBACK, WITH_CALLBACK, SYNCHRONIZE, COMPLETE, PEND, DISALLOW_FASTIO, DISALLOW_FSFILTER = range(1, 8)
RESUME_NO_CALLBACK, RESUME_WITH_CALLBACK, RESUME_COMPLETE, RESUME_SYNCHRONIZE = range(1, 5)
POST_PEND, POST_WHEN_SAFE = 2, 3
READ, CREATE, CLOSE = IrpMajor.READ, IrpMajor.CREATE, IrpMajor.CLOSE
NOBODY = 0

every_mechanism = pytest.mark.parametrize("mechanism", list(Mechanism), ids=lambda value: value.name.lower())


def phases(stub: Stub) -> list[Phase]:
    return [event.phase for event in stub.events()]

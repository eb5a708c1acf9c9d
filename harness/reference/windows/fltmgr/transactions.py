"""Transactions, as on a volume without TxF: nothing is ever in one, and what is asked about one is refused."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from harness.nt import Irql, NtStatus
from harness.reference.machine.loader.exports import FLTMGR, export

if TYPE_CHECKING:
    from harness.reference.windows.kernel import Kernel

_REFUSED = (
    "FltEnlistInTransaction", "FltRollbackEnlistment", "FltPrePrepareComplete", "FltPrepareComplete",
    "FltCommitComplete", "FltCommitFinalizeComplete", "FltRollbackComplete", "FltSetTransactionContext",
    "FltDeleteTransactionContext",
)  # fmt: skip


def _export(name: str) -> Callable[["Kernel", int], int]:
    @export(FLTMGR, name, max_irql=Irql.PASSIVE)
    def refuse(k: "Kernel", instance: int) -> int:
        k.flt.instance_at(instance)
        return int(NtStatus.NOT_SUPPORTED)

    return refuse


EXPORTS = tuple(map(_export, _REFUSED))

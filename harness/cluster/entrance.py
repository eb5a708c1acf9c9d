"""Whether a worker may take part in a run: asked on the worker, of whatever fltlab is there, or is not.

This module travels to the workers as it is (`cloudpickle.register_pickle_by_value`), since another fltlab may not have
it. So it imports nothing of ours before it knows that the worker's is the same.
"""

from typing import Any

from distributed import WorkerPlugin


class Entrance(WorkerPlugin):  # type: ignore[misc]
    """Lets a worker in that has the fltlab of the run, also one that comes later; says of any other why not."""

    def __init__(self, topic: str, version: str, code: str, job: dict[str, Any]) -> None:
        self.topic = topic
        self.version = version
        self.code = code
        self.job = job
        self.runner: Any = None

    def setup(self, worker: Any) -> None:
        """Compare the versions, and begin to make ready what the run needs here."""
        why = self._why_not() or self._begin(worker)
        if why:
            said = {"kind": "refused", "address": worker.address, "name": str(worker.name), "why": why}
            worker.log_event(self.topic, said)

    def _begin(self, worker: Any) -> str:
        """Begin, or say why that cannot be: what is raised here would end the run for all workers."""
        try:
            from harness.cluster.runner import Runner, runners

            self.runner = runners[worker.address, self.topic] = Runner(self.job, worker)
            self.runner.start()
        except Exception as error:  # noqa: BLE001 - whatever this machine lacks
            return f"it cannot begin: {type(error).__name__}: {error}"
        return ""

    async def teardown(self, worker: Any) -> None:
        """End what was started here."""
        if self.runner is not None:
            import asyncio

            from harness.cluster.runner import runners

            runners.pop((worker.address, self.topic), None)
            await asyncio.to_thread(self.runner.end)

    def _why_not(self) -> str:
        from importlib import metadata

        try:
            own = metadata.version("fltlab")
        except metadata.PackageNotFoundError:
            return f"there is no fltlab there, and this run is of fltlab {self.version}"
        if self.code and self._has_our_files():  # a checkout keeps the version that it was set up with
            return ""
        if own != self.version:
            return f"it has fltlab {own}, and this run is of fltlab {self.version}"
        changed = f"its fltlab {own} is not this one: files of it were changed, there or here"
        return f"{changed}; after an update workers are started anew" if self.code else ""

    def _has_our_files(self) -> bool:
        try:
            from harness.cluster.job import code_hash
        except ImportError:  # it knows nothing of clusters
            return False
        return code_hash() == self.code

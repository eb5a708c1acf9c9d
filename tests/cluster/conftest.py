"""What the tests of a cluster share."""

# pytester forgets after a run in this process what was imported in it. Dask must not be there twice: its threads and
# addresses of one copy are not those of another, and who waits for the wrong one waits for ever.
import cloudpickle  # noqa: F401
import distributed
import distributed.deploy.spec  # noqa: F401
import fsspec
import fsspec.implementations.local  # noqa: F401

import harness.cluster.coordinator
import harness.cluster.entrance
import harness.cluster.runner  # noqa: F401

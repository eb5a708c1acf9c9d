"""`python -m harness.cli`, what the bootstrap script hands over to."""

import gc
import sys

gc.set_threshold(20_000)  # nearly all that a command loads stays: after every 700 objects is a tenth of its start

from harness.cli.main import main  # noqa: E402

sys.exit(main())

"""`python -m harness.cli`, what the bootstrap script hands over to."""

import sys

from harness.cli.main import main

sys.exit(main())

"""`python -m bertlens` is the command `bertlens`."""

import sys

from bertlens.cli import main

sys.exit(main())

"""`python -m unitok` is the command `unitok`."""

import sys

from unitok.cli.main import main

sys.exit(main())

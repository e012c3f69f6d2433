"""``python -m benchmarks_kth_mad``."""

import sys

from benchmarks_kth_mad.cli import main

sys.exit(main())

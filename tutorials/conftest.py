"""Notebooks run in processes of their own, which take this over from the one that tests them."""

import os

# Several notebooks run at once: a second thread would take from its neighbour.
os.environ.setdefault("OMP_NUM_THREADS", "1")

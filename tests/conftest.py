import os

import pytest
import torch
from hypothesis import settings

# No verdict may depend on how fast the machine is; CI repeats itself, other runs explore.
settings.register_profile("project", deadline=None, derandomize=bool(os.environ.get("CI")))
settings.load_profile("project")
torch.set_num_threads(1)  # small tensors: a second thread costs more than it brings


@pytest.fixture(autouse=True)
def _seeded():
    torch.manual_seed(0)

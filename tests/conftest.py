"""One thread, no network, and shapes checked at every public call."""

import os

os.environ.setdefault("HF_HUB_OFFLINE", "1")

from jaxtyping import install_import_hook

import tests.typecheck  # noqa: F401  (the hook names it)

install_import_hook("unitok", "tests.typecheck.check")

import pytest  # noqa: E402
import torch  # noqa: E402
from hypothesis import settings  # noqa: E402

torch.set_num_threads(1)
settings.register_profile("busy", deadline=None)  # a busy machine is no failure
settings.load_profile("busy")


@pytest.fixture(autouse=True)
def _seeded():
    torch.manual_seed(0)

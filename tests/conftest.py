"""One thread, no network, and shapes checked at every public call."""

import os

os.environ.setdefault("HF_HUB_OFFLINE", "1")

from tests.typecheck import install

install()

import pytest  # noqa: E402
import torch  # noqa: E402
from hypothesis import settings  # noqa: E402

torch.set_num_threads(1)
settings.register_profile("busy", deadline=None)  # a busy machine is no failure
settings.load_profile("busy")


@pytest.fixture(autouse=True)
def _seeded():
    torch.manual_seed(0)


def pytest_addoption(parser):
    parser.addoption(
        "--screenshots",
        metavar="MODEL",
        help="use the page with this model folder, and write docs/page-*.png",
    )

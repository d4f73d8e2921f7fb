"""One thread, no network, and shapes checked at every public call."""

import atexit
import gc
import os

os.environ.setdefault("HF_HUB_OFFLINE", "1")

from tests.typecheck import install

install()

import pytest  # noqa: E402
from hypothesis import settings  # noqa: E402

settings.register_profile("busy", deadline=None)  # a busy machine is no failure
settings.load_profile("busy")


def pytest_configure(config):
    if config.getoption("dist", "no") != "no":
        return  # this process hands tests out and runs none, so it needs no torch
    import torch

    torch.set_num_threads(1)
    torch.zeros((), requires_grad=True).backward()  # before a test compiles: later, no fork has gradients
    gc.disable()  # what is imported stays: looking through it would only take time


def pytest_collection_finish():
    gc.freeze()
    gc.enable()
    atexit.register(gc.unfreeze)  # extensions complain of what is still there after the end


@pytest.fixture(autouse=True)
def _seeded():
    import torch

    torch.manual_seed(0)


@pytest.fixture(scope="session")
def bundled():
    """The model inside the package: the one that learned something."""
    from unitok.api.unitok import UniTok
    from unitok.console import BUNDLED

    return UniTok.from_pretrained(BUNDLED, device="cpu")


def pytest_addoption(parser):
    parser.addoption(
        "--screenshots",
        metavar="MODEL",
        help="use the page with this model folder, and write docs/page-*.png",
    )

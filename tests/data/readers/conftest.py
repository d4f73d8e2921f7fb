"""What several tests of readers read."""

import pytest

from tests.data.samples import write_images


@pytest.fixture
def image_folder(tmp_path):
    write_images(tmp_path, "red")
    write_images(tmp_path / "deep", "blue")
    return tmp_path

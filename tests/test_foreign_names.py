"""What has no counterpart is refused by one sentence that names what to use."""

import re

import pytest

from tests.test_docs import ROOT
from tests.tiny_model import tiny_model
from unitok.foreign_names import ARGUMENTS, ATTRIBUTES
from unitok.interop.pipelines.pipeline import pipeline

MODEL = tiny_model()
DRAW = pipeline("text-to-image", MODEL)


@pytest.mark.parametrize("name", ARGUMENTS)
def test_arguments_of_other_libraries(name):
    for call in (lambda **given: MODEL.generate("a", **given), lambda **given: DRAW("a", **given)):
        with pytest.raises(ValueError, match=f"^{name} has no counterpart here: ") as error:
            call(**{name: 1})
        assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", ATTRIBUTES)
def test_attributes_of_other_libraries(name):
    for owner in (MODEL, DRAW):
        with pytest.raises(AttributeError, match=f"^{type(owner).__name__} has no '{name}': ") as error:
            getattr(owner, name)
        assert "\n" not in str(error.value)


def test_other_attributes_are_absent():
    assert not hasattr(MODEL, "__fspath__") and not hasattr(DRAW, "nothing")
    with pytest.raises(AttributeError, match=r"^UniTok has no 'nothing'$"):
        _ = MODEL.nothing


def test_the_docs_name_some_of_them():
    page = (ROOT / "docs/python.md").read_text().split("## What is different")[1]
    assert set(re.findall(r"`([a-z_]+)` \(", page)) <= {*ARGUMENTS, *ATTRIBUTES}

"""The tests run with every function of the package checked: its types, and the shapes that must agree."""

import pytest
import torch
from jaxtyping import Float, TypeCheckError
from torch import Tensor

from tests.typecheck import _lacks_shapes
from unitok.models.image_tokenizer.loss_terms import SSIM
from unitok.worlds.shapes.scenes import ShapesSource, sample


def test_shapes_that_differ_are_refused():
    images = torch.zeros(2, 3, 16, 16)
    assert SSIM()(images, images).ndim == 0
    with pytest.raises(TypeCheckError):
        SSIM()(images, torch.zeros(2, 3, 8, 8))


def test_other_types_are_refused_and_an_int_is_a_float():
    with pytest.raises(TypeCheckError):
        sample("7")
    with pytest.raises(TypeCheckError):
        ShapesSource(count=1.5)
    assert sample(7, canvas=48).scene.canvas == 48


def test_a_shape_is_found_wherever_it_stands_in_a_hint():
    def plain(a: int, b: dict[str, list[float]] | None) -> Tensor: ...
    def nested(a: dict[str, list[Float[Tensor, "2 3"]]] | None): ...
    def returned() -> tuple[int, Float[Tensor, ""]]: ...
    def unknown(a: "Float"): ...

    assert [*map(_lacks_shapes, (plain, nested, returned, unknown))] == [True, False, False, False]

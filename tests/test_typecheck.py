"""The tests run with every function of the package checked: its types, and the shapes that must agree."""

from typing import Literal

import pytest
import torch
from jaxtyping import Float, TypeCheckError
from torch import Tensor

from tests.typecheck import _check_once, _is_told_by_kinds, _lacks_shapes, check, jaxtyped
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


def test_what_a_call_had_before_is_checked_once_and_all_else_again():
    returned, compared = torch.zeros(2, 4), []

    def joined(rows: list[Float[Tensor, "n w"]], more: int | None = None) -> Float[Tensor, "n w"]:
        return returned

    checked = jaxtyped(joined, typechecker=check)
    call = _check_once(joined, lambda *args, **options: compared.append(1) or checked(*args, **options))
    for _ in range(3):
        assert call([torch.zeros(2, 4)], more=None) is returned
    assert len(compared) == 1
    for wrong in ([torch.zeros(3, 4)], [torch.zeros(2, 4, dtype=torch.long)], torch.zeros(2, 4)):
        with pytest.raises(TypeCheckError):
            call(wrong, more=None)
    with pytest.raises(TypeCheckError):
        call([torch.zeros(2, 4)], more="1")
    returned = torch.zeros(2, 5)
    with pytest.raises(TypeCheckError, match="return value"):
        call([torch.zeros(2, 4)], more=None)
    assert len(compared) == 5, "the arguments had been seen, the result had not"


def test_kinds_tell_no_values_and_no_types_that_are_unknown_yet():
    def told(a: Float[Tensor, "2"], b: list[int] | None) -> tuple[Float[Tensor, "2"], str]: ...
    def value(a: Float[Tensor, "2"], b: list[Literal["a", "b"]]): ...
    def unknown(a: Float[Tensor, "2"]) -> "Tensor": ...
    def several(a: Float[Tensor, "2"]):
        yield a

    assert [*map(_is_told_by_kinds, (told, value, unknown, several))] == [True, False, False, False]


def test_a_shape_is_found_wherever_it_stands_in_a_hint():
    def plain(a: int, b: dict[str, list[float]] | None) -> Tensor: ...
    def nested(a: dict[str, list[Float[Tensor, "2 3"]]] | None): ...
    def returned() -> tuple[int, Float[Tensor, ""]]: ...
    def unknown(a: "Float"): ...

    assert [*map(_lacks_shapes, (plain, nested, returned, unknown))] == [True, False, False, False]

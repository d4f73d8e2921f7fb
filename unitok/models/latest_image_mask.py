"""A mask by which text attends only to the most recent image (Flamingo, arXiv:2204.14198, section 2.3).
Knows ids and slots, no layers."""

from jaxtyping import Bool, Int64
from torch import Tensor


def image_numbers(
    ids: Int64[Tensor, "b t"], images: tuple[int, int], *, before: Int64[Tensor, " b"]
) -> Int64[Tensor, "b t"]:
    """Which image of its row each id belongs to, counted from 1; 0 outside of images.

    Args:
        images: the images' ids: the first, and one more than the last, which is their begin.
        before: images that each row has already.

    Example:
        >>> image_numbers(torch.tensor([[0, 6, 4, 5, 1, 6]]), (3, 7), before=torch.tensor([0]))
        tensor([[0, 1, 1, 1, 0, 2]])
    """
    first, stop = images
    numbers = before[:, None] + (ids == stop - 1).cumsum(1)
    return numbers.masked_fill((ids < first) | (ids >= stop), 0)


def latest_image_mask(numbers: Int64[Tensor, "b s"], slots: Int64[Tensor, "b t"]) -> Bool[Tensor, "b 1 t s"]:
    """Of a row's slots, those that may be seen from `slots`: text hides all images but the last begun one, an
    image hides nothing. What comes later, or is another document's, other masks hide."""
    own = numbers.gather(1, slots)[:, :, None]
    last = numbers.cummax(1).values.gather(1, slots)[:, :, None]
    keys = numbers[:, None]
    return ((own > 0) | (keys == 0) | (keys == last)).unsqueeze(1)

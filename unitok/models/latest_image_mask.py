"""A mask by which text attends only to the most recent image (Flamingo, arXiv:2204.14198, section 2.3).
Knows ids and slots, no layers."""

from jaxtyping import Bool, Int64
from torch import Tensor


def image_numbers(
    ids: Int64[Tensor, "b t"], images: tuple[int, int], *, before: Int64[Tensor, " b"]
) -> Int64[Tensor, "b t"]:
    """Returns the number of the image in its row that each id belongs to, from 1; 0 outside of images.

    Args:
        ids: joint ids.
        images: range (first, stop) of the images' ids, whose last one is their begin.
        before: number of images that each row has already.

    Example:
        >>> image_numbers(torch.tensor([[0, 6, 4, 5, 1, 6]]), (3, 7), before=torch.tensor([0]))
        tensor([[0, 1, 1, 1, 0, 2]])
    """
    first, stop = images
    numbers = before[:, None] + (ids == stop - 1).cumsum(1)
    return numbers.masked_fill((ids < first) | (ids >= stop), 0)


def latest_image_mask(numbers: Int64[Tensor, "b s"], slots: Int64[Tensor, "b t"]) -> Bool[Tensor, "b 1 t s"]:
    """The slots that each of `slots` may attend to: text to no image but the most recent one, images to all.

    It hides neither later slots nor other documents; that is left to the other masks.
    """
    own = numbers.gather(1, slots)[:, :, None]
    last = numbers.cummax(1).values.gather(1, slots)[:, :, None]
    keys = numbers[:, None]
    return ((own > 0) | (keys == 0) | (keys == last)).unsqueeze(1)

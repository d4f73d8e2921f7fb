"""What "equal codes" means: equal, or so near a tie that fp32 cannot tell."""

import torch

TIE, SHARE = 1e-5, 1e-4


def assert_same_codes(tokenizer, images: torch.Tensor, codes: torch.Tensor) -> None:
    """Our codes of images are `codes`, except where two distances differ by less than 1e-5 relative.

    At most 0.01 % of the codes may be such ties; the distances are recomputed in float64.
    """
    with torch.no_grad():
        ours, latents = tokenizer.encode(images).codes, tokenizer.latents(images)
    differ = ours != codes
    if not differ.any():
        return
    rows = latents.permute(0, 2, 3, 1)[differ].double()
    book = tokenizer.quantizer.codebook.double()
    near, far = ((rows - book[c[differ]]).square().sum(1) for c in (ours, codes))
    assert ((near - far).abs() <= TIE * torch.maximum(near, far)).all(), "codes differ that are no ties"
    assert differ.float().mean() <= SHARE, f"{int(differ.sum())} of {differ.numel()} codes are ties"

"""Says in words what a training's figures mean, and what to do about it. Measures nothing."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

WORSE = 0.02
"""Rise of the validation loss, as a share of it, from which on a model has learned its samples by heart."""
LOW_USAGE = 0.5
BLURRED = 22.0
"""PSNR in dB below which people see the blur."""
TOLD_APART = 0.7
"""Share of pairs in which an image suits its own text better than another one; chance is .5."""
STILL_LEARNING = 0.05
"""Fall of the validation loss in the last quarter of a run, as a share of it."""

RISEN = 0.02
"""Rise of a loss on the origin's data, in nats per id, from which on a fine-tuned model forgets: at .07 the
demo's model lost a fifth of its captions (benchmarks/RESULTS.md)."""
FALLEN = 0.05
"""Fall of an accuracy, as a share of it, from which on a fine-tuned model forgets."""
RECIPE = "docs/your-data.md, Fine-tuning without forgetting"


@dataclass(frozen=True)
class Findings:
    """What was measured of both trainings.

    Args:
        curve: (step, loss) of each validation of the model, in order.
        codebook_size: codes of the image tokenizer.
        usage: share of the codes that training images use.
        psnr: of held-out images, in dB.
        cell: pixels per side of a code's cell.
        told_apart: share of pairs of held-out images in which a text suits its own image better than the
            other; None without captions.
        leaked: held-out samples whose images are in the training part as well.
        held_out: held-out samples.
        passes: over the training data.
    """

    curve: Sequence[tuple[int, float]]
    codebook_size: int
    usage: float
    psnr: float
    cell: int
    told_apart: float | None
    leaked: int
    held_out: int
    passes: float


def verdicts(found: Findings) -> list[str]:
    """One sentence for each thing that a person should know, the gravest first; never empty."""
    said = []
    if found.leaked:
        said.append(
            f"leaked: {found.leaked} of {found.held_out} held-out samples show images of training samples, "
            "so the figures flatter: remove the doubles"
        )
    best_step, best = min(found.curve, key=lambda point: point[1], default=(0, 0.0))
    last = found.curve[-1][1] if found.curve else 0.0
    by_heart = last > best * (1 + WORSE)
    if by_heart:
        said.append(
            f"learned by heart after step {best_step:,}: since then the loss of unseen samples rose from "
            f"{best:.3f} to {last:.3f}; the model has the weights that are wrong least often. More samples "
            "help"
        )
    if found.told_apart is not None and found.told_apart < TOLD_APART:
        said.append(
            f"captions ignored: a text suits its own image better than another in {found.told_apart:.0%} of "
            "pairs (chance 50%): train longer, or draw with more guidance"
        )
    if found.usage < LOW_USAGE:
        fewer = 2 ** max(4, (int(found.codebook_size * found.usage * 1.5) - 1).bit_length())
        if fewer < found.codebook_size:
            said.append(
                f"codes in use {found.usage:.2f} of {found.codebook_size}: {fewer} would do (quantizer.size)"
            )
    if found.psnr < BLURRED:
        said.append(
            f"blurred: {found.psnr:.1f} dB; cells of {found.cell // 2} pixels in place of {found.cell} "
            "(architecture.factor) show more"
        )
    if not by_heart and learns_still(found.curve):
        said.append(f"still learning when the time ended, after {found.passes:.1f} passes: more minutes help")
    return said or ["nothing stands out: held-out samples are learned as well as the others"]


def learns_still(curve: Sequence[tuple[int, float]]) -> bool:
    """Whether the loss still fell by a twentieth in the last quarter of a run."""
    if len(curve) < 4:
        return False
    first, last = curve[0], curve[-1]
    late = [loss for step, loss in curve if step <= first[0] + 0.75 * (last[0] - first[0])]
    return late[-1] - last[1] > STILL_LEARNING * last[1]


def forgetting_verdict(before: Mapping[str, float], after: Mapping[str, float]) -> str:
    """One sentence on what a fine-tuned model forgets of the model that it started from.

    Args:
        before, after: figures on that model's data, by name: `loss/MODALITY` in nats per id, and accuracies.
    """
    changes = [(name, before[name], after[name]) for name in before if name in after]
    forgotten = [change for change in changes if _is_forgotten(*change)]
    told = ", ".join(_describe_change(*change) for change in forgotten or changes)
    if not forgotten:
        return f"the origin's {told}: nothing is forgotten"
    return f"the origin's {told}: it forgets; mix its data in ({RECIPE})"


def _describe_change(name: str, old: float, new: float) -> str:
    was, now = f"{old:.3f}", f"{new:.3f}"
    if was == now:
        return f"{name} is still {now}"
    return f"{name} {'rose' if new > old else 'fell'} from {was} to {now}"


def _is_forgotten(name: str, old: float, new: float) -> bool:
    return new - old > RISEN if name.startswith("loss/") else new < (1 - FALLEN) * old

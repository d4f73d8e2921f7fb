"""Where a model is and what it is, and generation as transformers' users call it."""

import pytest
import torch

from tests.tiny_model import tiny_model
from unitok.api.unitok import UniTok
from unitok.document import Segment
from unitok.generation.sampling import Sampling


class Streamer:
    """What transformers' streamers have, but for their tokenizer."""

    def __init__(self):
        self.texts, self.ended = [], 0

    def on_finalized_text(self, text: str, stream_end: bool = False) -> None:
        self.texts.append(text)
        self.ended += stream_end


@pytest.fixture(scope="module")
def model():
    return tiny_model()


def test_what_a_model_is(model):
    parameters = sum(weight.numel() for weight in model.model.parameters())
    assert repr(model) == f"UniTok(text 256 + image 16 codes; {parameters:,} parameters; cpu, float32)"
    assert model.config.vocab_size == model.codec.vocabulary.size and model.eval() is model


def test_a_model_is_moved():
    model = tiny_model()
    assert model.to("cpu", torch.bfloat16) is model and model.dtype == torch.bfloat16
    assert model.to(device="cpu", dtype=torch.float32).dtype == torch.float32 and model.device.type == "cpu"
    assert model.to(-1).draw("a", seed=4)[0].tobytes() == tiny_model().draw("a", seed=4)[0].tobytes()
    for wrong in ("toaster", 77):
        with pytest.raises(ValueError, match="is not available"):
            model.to(wrong)
    with pytest.raises(ValueError, match="unknown setting non_blocking; known: device, dtype"):
        model.to("cpu", non_blocking=True)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
def test_every_task_runs_in_half_precision(tmp_path, dtype):
    tiny_model().save_pretrained(tmp_path / "m")
    model = UniTok.from_pretrained(tmp_path / "m", dtype=dtype)
    image = model.draw("a", best_of=2)[0]
    assert model.caption(image, max_new_tokens=3) and model.answer(image, "a", choices=["b", "c"])
    assert model.classify(image, ["a", "b"]) and model.vary(image, "a", keep=0.5, best_of=2)


def test_the_names_of_transformers(tmp_path):
    tiny_model().save_pretrained(tmp_path / "m")
    for options in (
        {"torch_dtype": torch.float64, "device_map": "auto"}, {"torch_dtype": "float64", "device_map": "cpu"},
        {"dtype": torch.float64, "device_map": {"": "cpu"}}, {"dtype": "float64", "device": -1},
    ):  # fmt: skip
        model = UniTok.from_pretrained(tmp_path / "m", **options)
        assert (model.dtype, model.device.type) == (torch.float64, "cpu")
    for device_map in ("balanced", {"a": 0, "b": 1}):
        with pytest.raises(ValueError, match="device_map must be 'auto' or one device"):
            UniTok.from_pretrained(tmp_path / "m", device_map=device_map)


def test_do_sample_sets_the_temperature():
    model = tiny_model(sampling={"text": Sampling(temperature=0.0), "image": Sampling(temperature=0.7)})
    sampling = model.request("a", target="text", do_sample=False).sampling
    assert {one.temperature for one in sampling.values()} == {0.0}
    sampling = model.request("a", target="text", do_sample=True).sampling
    assert (sampling["text"].temperature, sampling["image"].temperature) == (1.0, 0.7)
    assert (
        model.request("a", target="text", do_sample=True, temperature=0.3).sampling["text"].temperature == 0.3
    )


@pytest.mark.parametrize("target", ["text", "image", None])
def test_a_streamer_takes_the_text_that_generate_returns(model, target):
    streamer, options = Streamer(), {"target": target, "max_new_tokens": 9, "temperature": 1.0, "seed": 5}
    (document,) = model.generate("a", streamer=streamer, **options)
    (expected,) = model.generate("a", **options)
    assert [s.modality for s in document] == [s.modality for s in expected] and document[0] == expected[0]
    texts = [segment.content for segment in expected[1:] if segment.modality == "text"]
    assert "".join(streamer.texts) == "".join(texts) and streamer.ended == 1


def test_a_streamer_ends_though_the_prompt_is_invalid(model):
    streamer = Streamer()
    with pytest.raises(ValueError, match="too long"):
        model.generate("a" * 300, target="text", streamer=streamer)
    assert streamer.ended == 1


def test_each_step_is_told_and_may_end_the_decoding(model):
    steps = []
    model.generate([(Segment("text", "a"),)], target="image", on_step=steps.append)
    assert steps == list(range(len(steps))) and len(steps) >= 6

    def stop(step: int) -> None:
        if step == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        model.draw("a", on_step=stop)

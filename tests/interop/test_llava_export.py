"""An exported model that sees is a LLaVA of transformers: the same logits and the same greedy documents."""

import numpy as np
import pytest
import torch
from PIL import Image

from tests.interop.test_transformers_export import grammar_class
from tests.tiny_model import tiny_model
from tests.tiny_towers import save_tower, tiny_tower
from unitok.api.messages import as_turns
from unitok.api.unitok import UniTok
from unitok.chat_template import ChatTemplate
from unitok.generation.generate import generate
from unitok.generation.sampling import Sampling
from unitok.interop.transformers_export import export
from unitok.interop.vision.pretrained import Pretrained
from unitok.modalities.vision import VisionConfig
from unitok.models.transformer_config import BlockVariant
from unitok.models.vision.bridge import Projector
from unitok.models.vision.encoder import Patches
from unitok.models.vision.resampler import Resampler

transformers = pytest.importorskip("transformers")
LIMIT = 6
BRIEF = {"text": Sampling(temperature=0.0, max_new_tokens=LIMIT)}
CHAT = ChatTemplate(system='be "brief"', system_mark="s:", user_mark="u:", assistant_mark="a:\n")
QWEN2 = BlockVariant(qk_norm=False, qkv_bias=True)
GEMMA = BlockVariant(qk_norm=False, activation="gelu_tanh")
KINDS = {
    "CLIP": ("clip_vision_model", {}, Projector(hidden=32, norm="none"), {}),
    "CLIP, trained": ("clip_vision_model", {"precompute": False}, Projector(hidden=20, norm="none"), {}),
    "SigLIP, linear": ("siglip_vision_model", {}, Projector(norm="none", bias=False), {"chat": CHAT}),
    "SigLIP, Qwen2": ("siglip_vision_model", {}, Projector(hidden=32, norm="none"), {"variant": QWEN2}),
    "CLIP, Gemma": ("clip_vision_model", {}, Projector(norm="none"), {"variant": GEMMA}),
}


def seeing(folder, kind: str, bridge, *, precompute=True, **options) -> UniTok:
    """A tiny model that sees through a tower of a family."""
    tower = save_tower(tiny_tower(kind), folder / kind)
    config = VisionConfig(Pretrained(str(tower), layer=-2), bridge, precompute=precompute)
    model = tiny_model(positions="sequential", vision=config, sampling=BRIEF, **options)
    model.model.bridge.layers.scale_to(3.0)
    for name, weight in model.model.named_parameters():
        if name.endswith("qkv_bias.weight"):
            torch.nn.init.normal_(weight)
    return model


@pytest.fixture(scope="module", params=KINDS)
def exported(request, tmp_path_factory):
    """Our model, transformers' copy, and the exported folder."""
    kind, settings, bridge, options = KINDS[request.param]
    path = tmp_path_factory.mktemp("llava")
    ours = seeing(path, kind, bridge, **settings, **options)
    folder = path / "exported"
    export(ours, folder)
    llava = transformers.LlavaForConditionalGeneration
    theirs, report = llava.from_pretrained(folder, output_loading_info=True)
    assert not any(report[name] for name in ("missing_keys", "unexpected_keys", "mismatched_keys"))
    return ours, theirs.eval(), folder


def images(model: UniTok, count: int) -> list[Image.Image]:
    """Random images of the encoder's size."""
    height, width = model.codec.vision.size
    random = np.random.default_rng(0)
    return [Image.fromarray(random.integers(0, 255, (height, width, 3), np.uint8)) for _ in range(count)]


def words(count: int) -> list[str]:
    letters = torch.randint(97, 123, (count, 5), generator=torch.Generator().manual_seed(0)).tolist()
    return ["".join(map(chr, word)) for word in letters]


def messages(question: str, image: Image.Image) -> list[dict]:
    parts = [{"type": "image", "image": image}, {"type": "text", "text": question}]
    return [{"role": "user", "content": parts}]


def prompts(theirs_folder, pairs):
    """What the processor makes of questions about images."""
    processor = transformers.AutoProcessor.from_pretrained(theirs_folder)
    texts = [
        processor.apply_chat_template(messages(*pair), tokenize=False, add_generation_prompt=True)
        for pair in pairs
    ]
    return processor(text=texts, images=[image for _, image in pairs], return_tensors="pt", padding=True)


@torch.no_grad()
def test_the_processor_makes_our_ids_and_the_logits_are_ours(exported):
    ours, theirs, folder = exported
    (image,), (word,) = images(ours, 1), words(1)
    inputs = prompts(folder, [(word, image)])
    document = ours.chat.prompt(as_turns(messages(word, image)))
    tokens = ours.codec.join(ours.codec.encode_prompts([document])[0], open="text")
    place = ours.codec.vocabulary.vectors(1).start
    assert inputs["input_ids"][0].tolist() == tokens.ids.clamp(max=place).tolist()
    tiles = torch.cat([one.values for one in tokens.features])
    logits = ours.model.head(ours.model(tokens.ids[None], tokens.positions[None], tiles=tiles))
    assert (logits - theirs(**inputs).logits[..., :-1]).abs().max() <= 1e-4
    other = prompts(folder, [(word, Image.new("RGB", image.size))])
    assert (theirs(**other).logits[..., :-1] - logits).abs().max() > 1e-3


@torch.no_grad()
def test_a_hundred_answers_are_the_same(exported):
    ours, theirs, folder = exported
    pairs = list(zip(words(100), images(ours, 100), strict=True))
    requests = [ours.request(messages(*pair), target="text") for pair in pairs]
    continued = generate(ours.model, ours.codec, requests)
    inputs = prompts(folder, pairs)
    grammar = grammar_class(folder).from_pretrained(folder, "text")
    written = theirs.generate(**inputs, max_new_tokens=LIMIT, do_sample=False, logits_processor=[grammar])
    start, same = inputs["input_ids"].shape[1], 0
    for document, row in zip(continued, written, strict=True):
        expected = document[-1].codes.tolist()
        assert row[start:][: len(expected)].tolist() == expected
        same += len(expected)
    assert same > 100


def test_sizes_that_an_image_does_not_have_are_fitted_alike(exported):
    ours, _, folder = exported
    processor = transformers.AutoProcessor.from_pretrained(folder, backend="pil")
    image = Image.fromarray(np.random.default_rng(1).integers(0, 255, (31, 50, 3), np.uint8))
    own = ours.codec.vision.config.encoder.processor
    pixels = torch.from_numpy(np.array(ours.codec.vision.fit(image))).permute(2, 0, 1) / 255
    mean, std = (torch.tensor(values)[:, None, None] for values in (own.mean, own.std))
    theirs = processor.image_processor(image, return_tensors="pt")["pixel_values"][0]
    assert (theirs * std + mean - pixels).abs().max() <= 1.01 / 255


REFUSED = {
    "tiles": (VisionConfig(Patches(4), Projector(norm="none"), tiles=2), r"tiles must be 1 .* got 2"),
    "codes": (VisionConfig(Patches(4), Projector(norm="none"), with_codes=True), "with_codes must be False"),
    "resampler": (VisionConfig(Patches(4), Resampler(2, layers=1)), "a Projector .* got Resampler"),
    "norm": (VisionConfig(Patches(4), Projector()), "norm must be none for an export, got before"),
    "merge": (VisionConfig(Patches(2), Projector(norm="none", merge=2)), "merge must be 1"),
    "hidden": (VisionConfig(Patches(4), Projector(hidden=33, norm="none")), "at most the model's width"),
    "encoder": (VisionConfig(Patches(4), Projector(norm="none")), "Pretrained .* got Patches"),
}


@pytest.mark.parametrize("config, message", REFUSED.values(), ids=REFUSED)
def test_what_llava_lacks_is_named(config, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        export(tiny_model(positions="sequential", vision=config), tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("kind, layer, message", [
    ("dinov2", -2, "got dinov2"),
    ("siglip_vision_model", None, "the index of a hidden state"),
])  # fmt: skip
def test_another_tower_and_a_normed_state_are_named(kind, layer, message, tmp_path):
    tower = save_tower(tiny_tower(kind), tmp_path / kind)
    config = VisionConfig(Pretrained(str(tower), layer=layer), Projector(norm="none"))
    with pytest.raises(ValueError, match=message):
        export(tiny_model(positions="sequential", vision=config), tmp_path / "out")

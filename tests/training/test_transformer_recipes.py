"""The recipes run as they are written, on tiny random folders by the names of the real ones."""

import json
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from tests.commands import ROOT
from tests.data.samples import png, write_images, write_lines
from tests.data.test_sources import write_shard
from tests.interop.vision.test_bridges import QFORMER
from tests.tiny_language_models import TOWER, language_model, seeing_model
from tests.tiny_towers import FORWARD, SIZES, randomise, save_tower, tiny_tower
from train.convert import main as convert
from train.export import main as export
from train.transformer import main as fit
from unitok.api.unitok import UniTok
from unitok.interop.language.folder import LanguageFolder
from unitok.modalities.text import train_bpe
from unitok.models.image_tokenizer.image_tokenizer import ImageTokenizer, ImageTokenizerConfig
from unitok.models.image_tokenizer.patch import Patch
from unitok.models.image_tokenizer.vector_quantizers import EMACodebook

transformers = pytest.importorskip("transformers")
pytestmark = pytest.mark.filterwarnings("ignore:LightningCLI's args", "ignore:Mismatch dtype")
COLOURS = ("red", "green", "blue", "black", "white")
TEXTS = [f"a {one} image beside a {other} one" for one in COLOURS for other in COLOURS]
SMALL = (
    "--threads", "1", "--trainer.max_steps", "2", "--trainer.accelerator", "cpu", "--data.batch_size", "4",
    "--trainer.val_check_interval", "1", "--trainer.limit_val_batches", "1", "--data.workers", "0",
    "--trainer.enable_progress_bar", "false",
)  # fmt: skip
WIDE = {"image_size": 384, "patch_size": 128}
ROWS = 300


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The working folder: an image tokenizer, captions and conversations."""
    monkeypatch.chdir(tmp_path)
    torch.manual_seed(0)
    tokenizer = ImageTokenizer(ImageTokenizerConfig(Patch(channels=16), EMACodebook(32))).train()
    tokenizer.encode(torch.rand(8, 3, 48, 48) * 2 - 1)
    tokenizer.eval().save_pretrained("llamagen")
    for name in ("captions", "LLaVA-Pretrain", "LLaVA-Instruct"):
        write_images(tmp_path / name, *COLOURS)
    for name in COLOURS:
        (tmp_path / f"captions/{name}.txt").write_text(f"a {name} image")
    for name, turns in (("LLaVA-Pretrain", 1), ("LLaVA-Instruct", 2)):
        asked = {"from": "human", "value": "<image>\nWhich?"}, {"from": "gpt", "value": "A red one."}
        more = {"from": "human", "value": "And now?"}, {"from": "gpt", "value": "It stays red."}
        turns = [*asked, *more][: 2 * turns]
        lines = [{"image": f"{COLOURS[i % 5]}.png", "conversations": turns} for i in range(21)]
        write_lines(tmp_path / name / "data.jsonl", lines)
    return tmp_path


def save_text(model, path) -> None:
    """Writes a language model's folder with its tokenizer."""
    model.save_pretrained(path)
    train_bpe(TEXTS, size=270).save(str(path / "tokenizer.json"))


def run(recipe: str, *more: str) -> UniTok:
    """Runs a recipe for two steps; returns its model, which must answer about an image."""
    fit(["fit", "--config", str(ROOT / f"configs/transformer/{recipe}.yaml"), *SMALL, *more])
    model = UniTok.from_pretrained(f"runs/{recipe}/model", dtype="float32", verify=True)
    answers = model.caption([Image.new("RGB", (40, 30), colour) for colour in COLOURS[:2]], max_new_tokens=4)
    assert len(answers) == 2
    return model


def language_weights(path: str, model: UniTok) -> dict[str, torch.Tensor]:
    """The blocks' weights of a language model's folder, by our names."""
    weights = LanguageFolder(path).weights(model.model.sizes)
    return {name: weight for name, weight in weights.items() if name.startswith("blocks.")}


def write_questions(path: Path) -> None:
    """Writes a shard of captioned images with questions."""
    files: dict[str, bytes] = {}
    for name in COLOURS:
        record = {"qa": [["which?", name]] * 6}
        files |= {f"{name}.png": png(name), f"{name}.txt": f"a {name} image".encode()}
        files[f"{name}.json"] = json.dumps(record).encode()
    write_shard(path, files)


def changed(model: UniTok, weights: dict[str, torch.Tensor]) -> bool:
    state = model.model.state_dict()
    return any(not torch.equal(state[name], weight) for name, weight in weights.items())


@pytest.mark.slow
def test_siglip_and_qwen3_are_bridged_and_then_draw(folder):
    save_text(language_model("qwen3", rows=ROWS), folder / "Qwen3-0.6B")
    save_tower(tiny_tower("siglip_vision_model"), folder / "siglip-base-patch16-224")
    aligned = run("siglip_qwen3_align")
    assert not changed(aligned, language_weights("Qwen3-0.6B", aligned))
    drawing = run("siglip_qwen3_draw")
    assert changed(drawing, language_weights("Qwen3-0.6B", drawing))
    assert drawing.draw("a red image", seed=0)[0].size == (128, 128)


@pytest.mark.slow
def test_a_model_of_ones_own_texts_learns_to_see_and_then_draws(folder):
    for path in ("data/text", "data/easy_vqa", "runs/easy_vqa/tokenizer"):
        (folder / path).mkdir(parents=True)
    write_lines(folder / "data/text/coco_val2017_captions.jsonl", [{"caption": text} for text in TEXTS])
    (folder / "data/text/tinyshakespeare.txt").write_text("\n\n".join(TEXTS))
    (folder / "llamagen").rename("runs/easy_vqa/tokenizer/image_tokenizer")
    for name in ("train-0.tar", "val-0.tar"):
        write_questions(folder / "data/easy_vqa" / name)
    words = run("texts").model.state_dict()
    blocks = {name: weight for name, weight in words.items() if name.startswith("blocks.")}
    assert not changed(run("easy_vqa_align"), blocks)
    drawing = run("easy_vqa_draw")
    assert changed(drawing, blocks)
    assert drawing.draw("a red image", seed=0)[0].size == (64, 64)


@pytest.mark.slow
def test_flamingos_language_model_is_held_and_looks_at_images(folder):
    save_text(language_model("qwen3", rows=ROWS), folder / "Qwen3-0.6B")
    save_tower(tiny_tower("clip_vision_model"), folder / "clip-vit-large-patch14-336")
    # two steps, of which the first opens the gates, without a warm-up; the tiny model has three blocks
    small = ("--model.sizes.variant.cross_every", "2", "--model.optimizer.warmup_steps", "0")
    model = run("flamingo", *small)
    assert not changed(model, language_weights("Qwen3-0.6B", model))
    gates = [weight for name, weight in model.model.named_parameters() if name.endswith("_gate")]
    assert gates and all(float(gate) != 0 for gate in gates)


@pytest.mark.slow
def test_llava_is_aligned_instructed_tiled_and_exported(folder):
    save_text(language_model("llama", rows=ROWS), folder / "vicuna-7b-v1.5")
    save_tower(tiny_tower("clip_vision_model"), folder / "clip-vit-large-patch14-336")
    hidden = "--data.codec.vision.bridge.init_args.hidden", "48"
    aligned = run("llava_pretrain", *hidden)
    assert not changed(aligned, language_weights("vicuna-7b-v1.5", aligned))
    instructed = run("llava_instruct")
    assert changed(instructed, language_weights("vicuna-7b-v1.5", instructed))
    assert instructed.chat.user_mark == "USER:"
    export(["runs/llava_instruct/model", "llava"])
    llava = transformers.LlavaForConditionalGeneration.from_pretrained("llava")
    assert llava.config.text_config.model_type == "llama"
    tiled = run("llava_next", *hidden)
    assert tiled.codec.vision.config.tiles == 4
    tower = aligned.codec.vision.config.encoder.build(None).state_dict()
    trained = tiled.codec.vision.config.encoder.build(None).state_dict()
    assert any(not torch.equal(tower[name], trained[name]) for name in tower)


@pytest.mark.slow
def test_the_q_former_of_blip2_is_held_but_for_its_last_layer(folder):
    save_text(language_model("qwen3", rows=ROWS), folder / "Qwen3-4B")
    text = {"model_type": "opt", "hidden_size": 48, "ffn_dim": 48, "word_embed_proj_dim": 48,
            "num_hidden_layers": 1, "num_attention_heads": 2, "vocab_size": 60}  # fmt: skip
    config = transformers.Blip2Config(
        vision_config=SIZES | FORWARD, qformer_config=QFORMER, num_query_tokens=5, text_config=text
    )
    save_tower(randomise(transformers.Blip2ForConditionalGeneration(config)), folder / "blip2-opt-2.7b")
    convert(["--format", "blip2", "--from", "blip2-opt-2.7b", "--out", "blip2-vision"])
    held = run("minigpt4")
    before, state = load_file("blip2-vision/bridge.safetensors"), held.model.state_dict()
    moved = {name for name, weight in before.items() if not torch.equal(state[f"bridge.{name}"], weight)}
    assert moved == {"layers.out.weight", "layers.out.bias"}
    assert not changed(held, language_weights("Qwen3-4B", held))


@pytest.mark.slow
def test_prismatic_fuses_two_encoders_in_one_stage(folder):
    save_text(language_model("llama", rows=ROWS), folder / "vicuna-7b-v1.5")
    processor = transformers.SiglipImageProcessorPil(size={"height": 384, "width": 384})
    for kind, name in (("siglip_vision_model", "siglip-so400m-patch14-384"), ("dinov2", "dinov2-large")):
        save_tower(tiny_tower(kind, **WIDE), folder / name, processor)
    model = run("prismatic")
    assert model.codec.vision.grid == (3, 3)
    assert changed(model, language_weights("vicuna-7b-v1.5", model))


@pytest.mark.slow
def test_paligemma_reads_its_prefix_in_both_directions(folder):
    path = folder / "paligemma-3b-pt-224"
    save_text(seeing_model("PaliGemma", rows=ROWS), path)
    square = {"height": TOWER["image_size"], "width": TOWER["image_size"]}
    transformers.SiglipImageProcessorPil(size=square).save_pretrained(path)
    convert(["--format", "paligemma", "--from", str(path), "--out", "paligemma-vision"])
    model = run("paligemma")
    assert model.model.sizes.variant.bidirectional == "prefix"
    assert model.model.sizes.variant.activation == "gelu_tanh"
    assert changed(model, language_weights(str(path), model))

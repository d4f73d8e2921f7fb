"""The command lines of sample/: their output, and their errors for invalid input."""

import io
import json
import os
import shlex
import shutil
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest
from PIL import Image

from sample import caption, chat, demo, edit, image, rank
from tests.tiny_model import tiny_model
from unitok.api.learned_tasks import LearnedTask

ROOT = Path(__file__).parents[2]
COMMANDS = {"image": "draw", "demo": "page"}
"""Commands that are called otherwise than their scripts."""
SCRIPTS = {"caption": caption, "image": image, "chat": chat, "demo": demo, "edit": edit, "rank": rank}


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """A model, and valid and invalid image files."""
    folder = tmp_path_factory.mktemp("world")
    tiny_model().save_pretrained(folder / "model")
    tiny_model(tasks=[LearnedTask("captions")]).save_pretrained(folder / "captions")
    Image.new("RGB", (30, 20), "red").save(folder / "good.png")
    Image.effect_noise((64, 64), 80).save(folder / "noise.png")
    whole = (folder / "noise.png").read_bytes()
    (folder / "torn.png").write_bytes(whole[: len(whole) // 2])
    (folder / "text.png").write_text("this is not an image")
    (folder / "empty.png").touch()
    (folder / "a folder.png").mkdir()
    shutil.copytree(folder / "model", folder / "foreign")
    config = json.loads((folder / "foreign/config.json").read_text())
    config["vocabulary"] = [["text", 300], ["image", 64]]
    (folder / "foreign/config.json").write_text(json.dumps(config))
    shutil.copytree(folder / "model", folder / "torn model")
    (folder / "torn model/model.safetensors").write_bytes(b"torn")
    return folder


def run(script, world, *arguments):
    """Call a script's main with the model of `world`, unless the arguments name another."""
    model = [] if "--model" in arguments else ["--model", str(world / "model")]
    SCRIPTS[script].main([*model, *arguments])


# ---- output


def test_one_image_gets_one_caption(world, capsys):
    run("caption", world, str(world / "good.png"), "--max-new-tokens", "5")
    assert capsys.readouterr().out.endswith("\n")


@pytest.mark.parametrize(
    "script, arguments, ability",
    [
        ("caption", "good.png --max-new-tokens 2", None),
        ("caption", "good.png --max-new-tokens 2 --question which?", "answer questions about images"),
        ("image", "--prompt x", "draw images from texts"),
        ("edit", "--image good.png --instruction x", "edit images by instructions"),
        ("edit", "--image good.png --keep 0.5 --prompt x", "draw images from texts or to fill holes"),
        ("rank", "good.png --text x", None), ("chat", "", "chat"),
    ],
)  # fmt: skip
def test_one_line_warns_of_what_the_model_never_learned(
    world, tmp_path, capsys, monkeypatch, script, arguments, ability
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.stdin", io.StringIO(""))
    words = [str(world / word) if word == "good.png" else word for word in arguments.split()]
    run(script, world, *words, "--model", str(world / "captions"))
    error = capsys.readouterr().err
    assert (ability is None) == (not error) and len(error.splitlines()) <= 1
    assert ability is None or error.startswith(f"warning: this model never learned to {ability}")


def test_several_captions_are_named_by_their_files(world, capsys):
    paths = [str(world / name) for name in ("good.png", "noise.png")]
    run("caption", world, *paths, "--max-new-tokens", "3")
    out = capsys.readouterr().out
    assert all(f"{path}: " in out for path in paths)


def test_captions_as_json(world, capsys):
    run("caption", world, str(world / "good.png"), "--json", "--max-new-tokens", "3")
    (pair,) = json.loads(capsys.readouterr().out)
    assert pair.keys() == {"image", "caption"} and pair["image"] == str(world / "good.png")


def test_control_characters_of_a_caption_do_not_reach_the_terminal(world, capsys, monkeypatch):
    monkeypatch.setattr("unitok.api.unitok.UniTok.caption", lambda *a, **b: ["\x1b[2Jred\x07"])
    run("caption", world, str(world / "good.png"))
    assert capsys.readouterr().out == "\ufffd[2Jred\ufffd\n"


@pytest.mark.parametrize("between", [["--prompt"], []])
def test_images_of_each_prompt_and_a_sheet(world, tmp_path, capsys, between):
    out = tmp_path / "new" / "folder"
    run("image", world, "--prompt", "a cat", *between, "../Ünï/", "--n", "2", "--out", str(out))
    written = [Path(line) for line in capsys.readouterr().out.splitlines()]
    names = ["00-a-cat-0.png", "00-a-cat-1.png", "01-n-0.png", "01-n-1.png", "sheet.png"]
    assert [path.name for path in written] == names and all(path.parent == out for path in written)
    assert Image.open(written[0]).size == (12, 8)


def test_the_same_seed_draws_the_same_image(world, tmp_path):
    for folder, seed in (("a", 1), ("b", 1), ("c", 2)):
        run("image", world, "--prompt", "x", "--seed", str(seed), "--out", str(tmp_path / folder))
    a, b, c = ((tmp_path / folder / "00-x-0.png").read_bytes() for folder in "abc")
    assert a == b != c


def test_all_settings_of_drawing(world, tmp_path):
    settings = "--temperature 0.7 --top-k 4 --top-p 0.9 --guidance-scale 2 --size 8 12 --batch-size 1"
    run("image", world, "--prompt", "x", *settings.split(), "--out", str(tmp_path))
    assert (tmp_path / "sheet.png").is_file()


def test_a_part_of_an_image_is_redrawn(world, tmp_path, capsys):
    Image.new("L", (30, 20)).save(tmp_path / "black.png")
    hole = Image.new("L", (30, 20))
    hole.paste(255, (0, 0, 9, 9))
    hole.save(tmp_path / "hole.png")
    given = ["--prompt", "x", "--init", str(world / "good.png"), "--out", str(tmp_path / "out")]
    run("image", world, *given, "--mask", str(tmp_path / "hole.png"), "--n", "2", "--best-of", "2")
    lines = capsys.readouterr().out.splitlines()
    assert [Path(line).name for line in lines[:3]] == ["00-x-0.png", "00-x-1.png", "sheet.png"]
    assert all("log p(prompt | image) - log p(prompt) = " in line for line in lines[3:]) and len(lines) == 5
    assert Image.open(tmp_path / "out/00-x-0.png").getpixel((11, 7)) == (255, 0, 0)


def test_an_edited_photo_keeps_its_size(world, tmp_path):
    hole = Image.new("L", (30, 20))
    hole.paste(255, (0, 0, 9, 9))
    hole.save(tmp_path / "hole.png")
    given = ["--prompt", "x", "--image", str(world / "good.png"), "--mask", str(tmp_path / "hole.png")]
    for folder, options in (("a", []), ("b", ["--best-of", "4"])):
        run("edit", world, *given, *options, "--out", str(tmp_path / folder))
    photo, default = (Image.open(path) for path in (world / "good.png", tmp_path / "a/00-x-0.png"))
    assert default.size == photo.size == (30, 20)
    assert default.crop((9, 0, 30, 20)).tobytes() == photo.convert("RGB").crop((9, 0, 30, 20)).tobytes()
    assert default.tobytes() == Image.open(tmp_path / "b/00-x-0.png").tobytes()


def test_the_alpha_channel_of_a_mask_takes_precedence(world, tmp_path):
    plain = Image.new("L", (30, 20))
    plain.paste(255, (0, 0, 9, 9))
    clear = Image.new("RGBA", (30, 20), "white")
    clear.putalpha(plain.point(lambda value: 255 - value))
    for name, mask in (("plain", plain), ("clear", clear)):
        mask.save(tmp_path / f"{name}.png")
        given = ["--prompt", "x", "--mask", str(tmp_path / f"{name}.png"), "--out", str(tmp_path / name)]
        run("image", world, "--init", str(world / "good.png"), *given)
        run("edit", world, "--image", str(world / "good.png"), *given[:-1], str(tmp_path / f"{name}-edit"))
    for drawn in ("{}/00-x-0.png", "{}-edit/00-x-0.png"):
        first, second = (Image.open(tmp_path / drawn.format(name)) for name in ("plain", "clear"))
        assert first.tobytes() == second.tobytes()


def test_speculation_draws_the_same_image(world, tmp_path):
    for folder, guesses in (("a", "0"), ("b", "3")):
        run("image", world, "--prompt", "x", "--speculate", guesses, "--out", str(tmp_path / folder))
    plain, guessed = ((tmp_path / folder / "00-x-0.png").read_bytes() for folder in "ab")
    assert plain == guessed


@pytest.mark.parametrize("score", ["plain", "mutual"])
def test_ranking_by_image_and_by_text(world, capsys, score):
    paths = [str(world / name) for name in ("good.png", "noise.png")]
    given = [*paths, "--text", "a cat", "--text", "b", "--text", "dog", "--score", score]
    run("rank", world, *given, "--json")
    found = json.loads(capsys.readouterr().out)
    assert len(found) == 6 and found == sorted(found, key=lambda pair: -pair["score"])
    for kind, heads in (("picture", paths), ("text", ["a cat", "b", "dog"])):
        run("rank", world, *given, "--by", kind)
        lines = capsys.readouterr().out.splitlines()
        assert [line for line in lines if not line.startswith(" ")] == heads and len(lines) == 6 + len(heads)


def test_a_conversation_through_a_pipe_in_any_folder(world, tmp_path, monkeypatch, capsys):
    shutil.copytree(world / "model", tmp_path / "runs/demo/model")  # the default
    monkeypatch.chdir(tmp_path)
    lines = f"hello\n/image {world / 'good.png'}\n/image missing.png\n/draw\n/quit\n"
    monkeypatch.setattr("sys.stdin", io.StringIO(lines))
    chat.main(["--out", "chat"])
    said = capsys.readouterr()
    assert not said.err and "error: missing.png: No such file" in said.out
    assert "/image PATH" in said.out and (tmp_path / "chat/picture-000.png").is_file()


# ---- processes


def script(name, *arguments, cwd=ROOT):
    command = [sys.executable, str(ROOT / f"sample/{name}.py"), *map(str, arguments)]
    one_thread = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd, env=one_thread)


@pytest.mark.parametrize("name", SCRIPTS)
def test_help_imports_nothing_heavy(name):
    done = script(name, "--help")
    assert done.returncode == 0 and "--model DIR" in done.stdout and "runs/demo/model" in done.stdout
    assert "None" not in done.stdout
    heavy = "{'torch', 'PIL', 'rich'}"
    code = f"import sys, sample.{name} as s; s.arguments(); assert not {heavy} & {{*sys.modules}}"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)


def test_errors_of_a_process_are_one_line(world):
    done = script("caption", world / "torn.png", cwd=world)
    assert done.returncode == 2 and not done.stdout and "Traceback" not in done.stderr
    assert done.stderr.startswith(f"unitok caption: error: {world}/torn.png: ")
    assert done.stderr.count("\n") == 1


# ---- errors

LONG = "x" * 300
BAD = {  # W is the folder of models and images
    "caption no.png": "no.png: No such file",
    "caption W/torn.png": "torn.png: ",
    "caption W/text.png": "text.png: not an image of a known format (PNG",
    "caption W/empty.png": "empty.png: not an image",
    "caption 'W/a folder.png'": "a folder.png: it is a folder",
    "caption W/good.png W/text.png": "text.png: ",
    "caption": "required: IMAGE",
    "caption W/good.png --max-new-tokens 0": "max_new_tokens must be at least 1, got 0",
    "caption W/good.png --batch-size 0": "batch_size must be at least 1, got 0",
    "caption W/good.png --model W": "not a model folder (config.json is missing)",
    "image --prompt x --model no/where": "no/where: not a model folder",
    "image --prompt x --model W/good.png": "good.png: not a model folder",
    "image --prompt x --model W/foreign": "the vocabulary [('text', 300), ('image', 64)], but the folder's "
    "tokenizers have [('text', 256), ('image', 16)]",
    "image --prompt x --model 'W/torn model'": "model.safetensors: corrupt",
    "image --prompt x --model W/model/image_tokenizer": "model_type must be 'unitok', got None",
    f"image --prompt {LONG}": "it has 304 ids; the model's max_length is 200",
    f"image --prompt {LONG * 300}": "at most 65536 UTF-8 bytes, got 90000 characters",
    "image": "required: --prompt",
    "image --prompt x --n 0": "n must be at least 1, got 0",
    "image --prompt x --n many": "--n: invalid int value: 'many'",
    "image --prompt x --temperature -1": "temperature must be at least 0, got -1.0",
    "image --prompt x --temperature nan": "temperature must be at least 0, got nan",
    "image --prompt x --top-k 0": "top_k must be at least 1, got 0",
    "image --prompt x --top-p 1.5": "top_p must be in (0, 1], got 1.5",
    "image --prompt x --guidance-scale -2": "guidance_scale must be at least 0, got -2.0",
    "image --prompt x --size 9 12": "got 9 × 12 pixels (height × width)",
    "image --prompt x --size 16 12": "must be 8 × 12 pixels (height × width), the only size of this model",
    "image --prompt x --out W/good.png": "good.png: must be a folder",
    "image --prompt x --out W/good.png/drawn": "good.png: must be a folder",
    "edit --image W/good.png --keep 0 --prompt x --out W/good.png": "good.png: must be a folder",
    "edit --image W/good.png --instruction x --best-of 3": "--best-of needs --mask or --keep, got",
    "image --prompt x --speculate -1": "speculate must be at least 0, got -1",
    "image --prompt x --init W/good.png": "--init and --mask must be given together",
    "image --prompt x --init W/good.png --mask W/noise.png --size 8 12": "--size must be absent with --init",
    "image --prompt x --init W/good.png --mask W/noise.png": "got 64 × 64 pixels",
    "rank W/good.png": "required: --text",
    "rank W/torn.png --text x": "torn.png: ",
    "chat --device toaster": "device 'toaster' is not available",
    "chat --dtype float99": "dtype must be auto, float32, bfloat16 or float16, got 'float99'",
    "chat --sede 1": "unrecognized arguments: --sede 1",
}


@pytest.mark.parametrize("line", BAD, ids=lambda line: line[:50])
def test_errors_take_one_line(world, tmp_path, capsys, monkeypatch, line):
    name, *arguments = (word.replace("W", str(world)) for word in shlex.split(line))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as stop:
        run(name, world, *arguments)
    printed = capsys.readouterr()
    assert stop.value.code == 2 and not printed.out
    assert BAD[line] in printed.err and printed.err.count("\n") == 1
    assert printed.err.startswith(f"unitok {COMMANDS.get(name, name)}: error: ")
    assert list(tmp_path.iterdir()) == []


def test_ctrl_c_prints_no_traceback(world, capsys, monkeypatch):
    def interrupt(*arguments, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr("unitok.api.unitok.UniTok.draw", interrupt)
    with pytest.raises(SystemExit) as stop:
        run("image", world, "--prompt", "x")
    assert stop.value.code == 130 and capsys.readouterr().err == "unitok draw: interrupted\n"


@pytest.mark.parametrize("name", SCRIPTS)
def test_scripts_are_thin(name):
    lines = Path(import_module(f"sample.{name}").__file__).read_text().splitlines()
    assert len(lines) <= 70

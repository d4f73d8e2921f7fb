"""Invalid configs and unknown settings give one line: file, line and the nearest setting."""

from importlib import import_module

import pytest

from tests.commands import ROOT
from train.tokenizer import main as train_tokenizer
from train.transformer import main as train_transformer
from unitok.cli.unknown_settings import clear_parser_errors
from unitok.cli.yaml_defaults import read_config
from unitok.training.open_source import open_source

pytestmark = pytest.mark.filterwarnings("ignore:.*args parameter is intended")
TINY = ("fit", "--config", str(ROOT / "configs/transformer/tiny.yaml"))


@pytest.fixture
def refused(capsys, tmp_path):
    """What a command line is refused with; a text among its words that is YAML becomes a file first."""

    def run(*args: str, main=train_transformer) -> str:
        with pytest.raises(SystemExit) as stopped:
            main(list(args))
        assert stopped.value.code == 2
        return capsys.readouterr().err.splitlines()[-1]

    return run


@pytest.fixture
def written(tmp_path):
    def write(content: str) -> str:
        file = tmp_path / "mine.yaml"
        file.write_text(content)
        return str(file)

    return write


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("trainer:\n\tmax_steps: 3\n", "mine.yaml: line 2: not readable as YAML"),
        ("trainer:\n\tmax_steps: 3\n", "indent with spaces, not tabs"),
        ("", "mine.yaml: no settings in it"),
        ("# nothing\n", "mine.yaml: no settings in it"),
        ("- a\n", "mine.yaml: expected options with values, got list"),
        ("data:\n  batch_size: 4\n  batch_size: 8\n", "mine.yaml: line 3: not readable as YAML (duplicate "),
        ("data:\n  size: 4\ndata:\n  seed: 3\n", "line 3: not readable as YAML (duplicate key data)"),
        ("trainer:\n  max_step: 3\n", "setting trainer.max_step; did you mean trainer.max_steps?"),
        ("fit:\n  data: {row_lenght: 3}\n", "setting data.row_lenght; did you mean data.row_length?"),
        ("source: shapes\nsettings: {canvas: 48}\n", "mine.yaml: unknown setting s"),
    ],
)  # fmt: skip
def test_a_config_that_is_none_is_named(refused, written, content, said):
    assert said in refused(*TINY, "--config", written(content))


@pytest.mark.parametrize(
    ("before", "now"),
    [
        ("unitok.data.shapes.ShapesSource", "unitok.worlds.shapes.scenes.ShapesSource"),
        ("unitok.data.sources.Together", "unitok.data.source.Concat"),
        ("unitok.data.sources.WebDataset", "unitok.data.readers.webdataset.WebDataset"),
        ("unitok.data.fills.Fills", "unitok.data.transforms.inpainting.Fills"),
        ("Together", "Concat"),
    ],
)
def test_a_class_path_of_an_earlier_version_is_told_by_its_new_one(refused, written, before, now):
    config = f"data: {{train: {{class_path: Concat, init_args: {{sources: [{{class_path: {before}}}]}}}}}}\n"
    assert f"mine.yaml: {before} is now {now}" in refused(*TINY, "--config", written(config))
    module, _, name = now.rpartition(".")
    assert not module or hasattr(import_module(module), name)
    if module:
        assert f"{before} is now {now}" in refused(*TINY, f"--data.train={before}")
        with pytest.raises(ValueError, match="is now"):
            open_source(before)


def test_every_new_class_path_exists():
    from unitok import renamed

    for module in renamed._MODULES.values():
        import_module(module)
    for name, module in renamed._OF_SOURCES.items():
        assert hasattr(import_module(f"unitok.data.{module}"), name)


def test_a_key_may_stand_in_each_of_several_mappings(written):
    merged = "base: &base {a: 1}\nmore: {<<: *base, a: 2}\n"
    assert read_config(written(merged)) == {"base": {"a": 1}, "more": {"a": 2}}


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (("--data.batchsize", "4"), "error: unknown setting data.batchsize; did you mean data.batch_size?"),
        (("--batch_size", "4"), "unknown setting batch_size; did you mean data.batch_size?"),
        (("--data.path", "-mine"), "write a value that begins with - as --data.path=-"),
        (("--data.codec.image_shape", "6"), "got 6"),
    ],
)
def test_a_flag_that_is_none_says_what_was_meant(refused, given, said):
    assert said in refused(*TINY, *given)


def test_what_to_do_comes_first(refused):
    assert "the first argument must be one of fit, validate, test" in refused(*TINY[1:])
    assert "invalid choice: 'predict'" in refused("predict", *TINY[1:])


def test_what_a_class_says_is_not_buried_among_kinds():
    message = (
        "Does not validate against any of the Union subtypes\nSubtypes: [A, B]\nErrors:\n"
        "  - weights are wrong\n  - Expected a <class 'str'>\n"
        "Given value type: <class 'dict'>\nGiven value: {'a': 1}"
    )
    with pytest.raises(ValueError, match=r"^weights are wrong$"), clear_parser_errors():
        raise ValueError(message)
    with pytest.raises(ValueError, match=r"^as it is$"), clear_parser_errors():
        raise ValueError("as it is")


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (("--model.optimizer.lr", "-1"), "lr and muon_lr must be above 0, got -1.0"),
        (("--data.workers", "-1"), "workers must be 0 or more, got -1"),
        (("--data.batch_size", "0"), "batch_size must be at least 1, got 0"),
        (("--data.size", "[0, 48]"), "size must be (height, width) of at least 1 pixel, got (0, 48)"),
    ],
)
def test_numbers_with_which_nothing_is_trained_are_refused(refused, tmp_path, given, said):
    config = ("fit", "--config", str(ROOT / "configs/tokenizer/tiny.yaml"))
    folder = ("--trainer.default_root_dir", str(tmp_path / "run"))
    assert said in refused(*config, *folder, *given, main=train_tokenizer)

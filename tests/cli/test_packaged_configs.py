"""Configs inside the package are listed, copied, and found by every command in any folder."""

import pytest

from tests.commands import check
from unitok.cli import demo
from unitok.cli.main import main
from unitok.cli.packaged_configs import folder, locate, locate_all


def test_configs_are_listed_and_copied_and_nothing_is_overwritten(tmp_path, capsys):
    main(["configs"])
    text = capsys.readouterr().out
    assert "tokenizer/tiny.yaml" in text and "demo/encode.yaml" in text
    main(["configs", "demo/", "--copy", f"{tmp_path}/mine"])
    copied = sorted(str(path.relative_to(tmp_path / "mine")) for path in tmp_path.rglob("*.yaml"))
    assert copied == ["demo/encode.yaml", "demo/tokenizer.yaml", "demo/transformer.yaml"]
    assert (tmp_path / "mine/demo/encode.yaml").read_bytes() == (folder() / "demo/encode.yaml").read_bytes()
    main(["configs", "demo/", "--copy", f"{tmp_path}/mine"])
    (tmp_path / "mine/demo/encode.yaml").write_text("source: mine\n")
    with pytest.raises(SystemExit):
        main(["configs", "demo/", "--copy", f"{tmp_path}/mine"])
    assert (tmp_path / "mine/demo/encode.yaml").read_text() == "source: mine\n"
    with pytest.raises(SystemExit):
        main(["configs", "nope"])


def test_a_config_of_this_folder_comes_before_the_packaged_one(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert locate("configs/demo/encode.yaml") == str(folder() / "demo/encode.yaml")
    (tmp_path / "configs/demo").mkdir(parents=True)
    (tmp_path / "configs/demo/encode.yaml").touch()
    assert locate("configs/demo/encode.yaml") == "configs/demo/encode.yaml"
    assert locate("configs/demo-hour") == str(folder() / "demo-hour")


@pytest.mark.parametrize(
    "word", ["configs/mine.yaml", "mine/configs/demo", "{trainer: 3}", "", "--config", "a=b"]
)
def test_other_words_of_a_command_line_stay_as_they_are(word, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    packaged = str(folder() / "demo/encode.yaml")
    line = ["fit", word, "--config=configs/demo/encode.yaml", "--config", "configs/demo/encode.yaml"]
    assert locate_all(line) == ["fit", word, f"--config={packaged}", "--config", packaged]


@pytest.mark.filterwarnings("ignore:.*args parameter is intended")
@pytest.mark.parametrize(
    "line",
    [
        "unitok train-tokenizer fit --config configs/tokenizer/easy_vqa.yaml --data.path DATA",
        "unitok train-model fit --config=configs/transformer/tiny.yaml --config configs/data/mixture.yaml",
        "unitok encode --config configs/demo/encode.yaml",
    ],
)
def test_commands_find_configs_in_any_folder(line, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    check(line)


@pytest.mark.parametrize("names", [(), ("demo", "demo-hour")])
def test_the_demo_runs_in_any_folder(names, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found = []

    class Stopped(demo.Demo):
        def run(self):
            found.extend(self.configs)
            raise KeyboardInterrupt

    monkeypatch.setattr(demo, "Demo", Stopped)
    with pytest.raises(SystemExit):
        main(["demo", *(["--configs", *(f"configs/{name}" for name in names)] if names else [])])
    assert found == [folder() / name for name in names or ("demo",)]
    assert (found[0] / "tokenizer.yaml").is_file()

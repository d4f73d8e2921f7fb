"""A run in bfloat16 trains in float32 on a CPU without bfloat16 instructions, and nowhere else."""

import pytest

from unitok.training.run.trainer import RunFolder


@pytest.fixture
def precision_of(monkeypatch, tmp_path):
    """The precision of a run on a CPU that has or lacks bfloat16."""

    def ask(asked: str | int, *, lacks: bool, **options) -> str:
        monkeypatch.setattr("unitok.training.run.trainer.lacks_bfloat16", lambda device: lacks)
        run = RunFolder(default_root_dir=tmp_path, precision=asked, enable_progress_bar=False, **options)
        return run.precision

    return ask


@pytest.mark.parametrize("asked", ["bf16-mixed", "16-mixed"])
def test_without_bfloat16_a_run_is_in_float32_and_one_line_says_so(precision_of, asked, capsys):
    assert precision_of(asked, lacks=True, accelerator="cpu") == "32-true"
    assert capsys.readouterr().out.count("\n") == 1


def test_of_several_processes_one_says_so(precision_of, monkeypatch, capsys):
    monkeypatch.setattr(RunFolder, "local_rank", 1)
    assert precision_of("bf16-mixed", lacks=True, accelerator="cpu") == "32-true"
    assert "bfloat16" not in capsys.readouterr().out


def test_with_bfloat16_a_run_is_as_asked(precision_of, capsys):
    assert precision_of("bf16-mixed", lacks=False, accelerator="cpu") == "bf16-mixed"
    assert not capsys.readouterr().out


def test_float32_is_as_asked(precision_of):
    assert precision_of("32-true", lacks=True, accelerator="cpu") == "32-true"


@pytest.mark.parametrize("asked", ["64-true", "bf16-true", "16-true"])
def test_weights_in_which_nothing_is_trained_on_a_cpu_are_refused(precision_of, asked):
    with pytest.raises(ValueError, match=f"precision must be .*, got {asked}"):
        precision_of(asked, lacks=False, accelerator="cpu")


@pytest.mark.parametrize(("there", "expected"), [(False, "32-true"), (True, "bf16-mixed")])
def test_where_no_accelerator_is_named_the_one_that_is_there_counts(
    precision_of, monkeypatch, there, expected
):
    monkeypatch.setattr("torch.accelerator.is_available", lambda: there)
    assert precision_of("bf16-mixed", lacks=True) == expected


@pytest.mark.parametrize("asked", ["16-mixed", "16", 16])
def test_float16_on_a_gpu_is_refused(precision_of, monkeypatch, asked):
    monkeypatch.setattr("torch.accelerator.is_available", lambda: True)
    with pytest.raises(ValueError, match=r"trainer\.precision must be bf16-mixed or 32-true.*got 16"):
        precision_of(asked, lacks=False)

"""`unitok env` prints one line per fact, and why torch.compile does not work where it does not."""

import pytest

from unitok.cli.main import main


def facts(capsys) -> dict[str, str]:
    main(["env"])
    return dict(line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines())


@pytest.mark.parametrize(("lack", "line"), [(None, "works"), ("no g++", "does not work: no g++")])
def test_env_prints_versions_and_hardware(lack, line, capsys, monkeypatch):
    monkeypatch.setattr("unitok.device.lacks_compiler", lambda device: lack)
    found = facts(capsys)
    assert {"python", "torch", "CPU", "bf16-mixed", "memory"} <= found.keys()
    assert found["torch.compile"] == line


@pytest.mark.slow
def test_env_tries_the_compiler(capsys):
    assert facts(capsys)["torch.compile"].startswith(("works", "does not work: "))

"""The short --help of the training scripts, shown before anything heavy is imported. Knows no class.

Lightning's own help has every setting of trainer, model and data, and takes about ten seconds to come.
"""

import sys
from collections.abc import Mapping, Sequence
from textwrap import dedent

from unitok.console import use_utf8

COMMON = {
    "--config FILE": "settings as YAML; may be repeated, later ones and flags override",
    "--print_config": "print the settings that result, and stop",
    "--trainer.default_root_dir DIR": "where the run goes: checkpoints, logs, the trained part",
    "--trainer.max_time DD:HH:MM:SS": "stop after so long; the schedule ends with it",
    "--trainer.max_steps N": "stop after so many steps",
    "--trainer.devices N": "GPUs; with --trainer.strategy ddp they train together",
    "--trainer.precision NAME": "32-true, bf16-mixed, …",
    "--ckpt_path PATH": "go on from a checkpoint; last: this run's; auto: that if there is one",
    "--threads N": "CPU threads; 0 takes all cores",
    "--seed_everything N": "the run's seed",
}


def asks(args: Sequence[str] | None) -> bool:
    """Whether a command line (that of the process by default) asks for the short help."""
    given = sys.argv[1:] if args is None else args
    return list(given) in (["-h"], ["--help"])


def show_overview(program: str, what: str, settings: Mapping[str, str], *, example: str) -> None:
    """Print what a script does, an example, its own settings and those of all training scripts."""
    lines = {**COMMON, **settings}
    width = max(map(len, lines)) + 2
    table = "\n".join(f"  {flag:<{width}}{text}" for flag, text in lines.items())
    head = f"""
        usage: {program} fit --config FILE [--SETTING VALUE ...]

        {what}

          {example}

        commands: fit (train), validate, test
        main settings of fit:
    """
    use_utf8()
    print(f"{dedent(head).strip()}\n{table}\n\nAll settings: {program} fit --help (about ten seconds)")

"""The short --help of the training scripts, shown before anything heavy is imported. Knows no class.

Lightning's own help lists every setting of trainer, model and data, and takes about ten seconds.
"""

import sys
from collections.abc import Mapping, Sequence
from textwrap import dedent

from unitok.console import use_utf8

COMMON = {
    "--config FILE": "settings as YAML; may be repeated, later ones and flags override",
    "--print_config": "print the resulting settings and exit",
    "--trainer.default_root_dir DIR": "folder of the run: checkpoints, logs, the trained model",
    "--trainer.max_time DD:HH:MM:SS": "stop after this time; the schedule ends with it",
    "--trainer.max_steps N": "stop after this many steps",
    "--trainer.devices N": "number of GPUs; --trainer.strategy ddp trains on all of them",
    "--trainer.precision NAME": "32-true, bf16-mixed, …",
    "--ckpt_path PATH": "resume from a checkpoint; last: this run's; auto: last if there is one",
    "--threads N": "CPU threads; 0 uses all cores",
    "--seed_everything N": "seed of the run",
}


def requests_short_help(args: Sequence[str] | None) -> bool:
    """Whether a command line (by default the process's) requests the short help."""
    args = sys.argv[1:] if args is None else args
    return list(args) in (["-h"], ["--help"])


def print_short_help(program: str, purpose: str, settings: Mapping[str, str], *, example: str) -> None:
    """Print a script's purpose, an example, its own settings and those of all training scripts."""
    options = {**COMMON, **settings}
    width = max(map(len, options)) + 2
    table = "\n".join(f"  {flag:<{width}}{text}" for flag, text in options.items())
    header = f"""
        usage: {program} fit --config FILE [--SETTING VALUE ...]

        {purpose}

          {example}

        commands: fit (train), validate, test
        main settings of fit:
    """
    use_utf8()
    print(f"{dedent(header).strip()}\n{table}\n\nAll settings: {program} fit --help (about ten seconds)")

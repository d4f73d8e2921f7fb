"""`unitok env`: versions, hardware and precision, for bug reports."""

import os
import platform
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from unitok.console import Parser, command

PACKAGES = (
    "unitok-lm", "torch", "torchvision", "lightning", "vector-quantize-pytorch", "tokenizers", "safetensors",
    "transformers", "numpy", "pillow", "gradio", "fastapi", "peft", "xformers",
)  # fmt: skip
INSTRUCTIONS = ("avx2", "avx512f", "avx512_bf16", "amx_bf16", "asimd", "bf16")


def arguments() -> Parser:
    """Build the parser of the command line."""
    return Parser(prog="unitok env", description="Print versions, hardware and precision, for bug reports.")


@command("unitok env")
def main(args: list[str] | None = None) -> None:
    """Print one line per fact."""
    arguments().parse_args(args)
    facts = dict(_facts())
    width = max(map(len, facts)) + 2
    for name, value in facts.items():
        print(f"{name:<{width}}{value}")


def _facts() -> Iterator[tuple[str, str]]:
    import torch

    from unitok.device import lacks_bfloat16, lacks_compiler, pick_device, pick_dtype

    yield "python", f"{sys.version.split()[0]} on {platform.platform()}"
    for package in PACKAGES:
        try:
            yield package, version(package)
        except PackageNotFoundError:
            yield package, "not installed"
    name, flags = _cpu()
    yield "CPU", f"{name}, {os.cpu_count()} cores, {torch.get_num_threads()} threads of torch"
    yield "instructions", " ".join(flag for flag in INSTRUCTIONS if flag in flags) or "unknown"
    yield "memory", f"{_memory() / 2**30:.1f} GiB"
    for number in range(torch.cuda.device_count()):
        yield f"cuda:{number}", torch.cuda.get_device_name(number)
    device = pick_device("auto")
    yield "auto device", f"{device}, {str(pick_dtype('auto', device)).removeprefix('torch.')}"
    yield "bf16-mixed", "runs in 32-true here" if lacks_bfloat16(device) else "runs in bfloat16"
    lack = lacks_compiler(device)
    yield "torch.compile", "works" if lack is None else f"does not work: {lack}"


def _cpu() -> tuple[str, set[str]]:
    """The name of the CPU and its instruction sets, where the system tells."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return platform.processor() or platform.machine(), set()
    values = {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in lines)}
    name = values.get("model name") or platform.machine()
    return name, set((values.get("flags") or values.get("Features") or "").split())


def _memory() -> int:
    import psutil

    return psutil.virtual_memory().total

"""Maps configs/ into the wheel as unitok/configs; everything else is in pyproject.toml."""

from pathlib import Path
from shutil import copytree

from setuptools import setup
from setuptools.command.build_py import build_py


class BuildWithConfigs(build_py):
    """`unitok configs` lists and copies what is there."""

    def run(self):
        super().run()
        if not self.editable_mode:
            copytree("configs", Path(self.build_lib, "unitok/configs"), dirs_exist_ok=True)


setup(cmdclass={"build_py": BuildWithConfigs})

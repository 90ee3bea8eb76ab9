"""The driver that authors copy: installed as their own would be, found by its URL, proven by the kit; and its guide."""

from __future__ import annotations

import ast
import importlib.util
import os
import re
import runpy
import shlex
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parent.parent
TEMPLATE = REPOSITORY / "backends" / "template"
GUIDE = REPOSITORY / "docs" / "write-a-driver.md"
ALLOWED = {"longshore.contract", "longshore.errors", "longshore.reference"}
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


class Installed:
    """A copy of the template outside the repository, built and installed by pip into a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.copy = folder / "longshore-folder"
        self.site = folder / "site"
        shutil.copytree(TEMPLATE, self.copy, ignore=shutil.ignore_patterns("__pycache__", "dist", "*.egg-info"))
        # What builds it may be here already; then nothing is fetched.
        isolation = ["--no-index", "--no-build-isolation"] if importlib.util.find_spec("hatchling") else []
        quiet = ["--quiet", "--disable-pip-version-check", "--root-user-action=ignore"]
        self._environment = os.environ | {"PYTHONPATH": str(self.site), "XDG_CACHE_HOME": str(folder / "cache")}
        install = ["-m", "pip", "install", *quiet, "--no-deps", *isolation, "--target", self.site, self.copy]
        result = self.python(*map(str, install))
        assert result.returncode == 0, result.stdout + result.stderr

    def python(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Runs Python where the distribution is installed, in the folder of the copy."""
        command = [sys.executable, *arguments]
        return subprocess.run(command, cwd=self.copy, env=self._environment, capture_output=True, text=True)


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    return Installed(tmp_path_factory.mktemp("template"))


FIND = """
import sys
from longshore.contract import Claim, Features, NewJob
from longshore.registry import connect

store = connect(sys.argv[1], require=Features.DURABLE | Features.SHARED)
store.migrate()
store.insert([NewJob("a", "mail", "send", b"{}")])
(job,) = store.claim([Claim(queues=("mail",))], holder="anna", limit=1).jobs
print(type(store).__name__, sys.modules[type(store).__module__].__file__, job.id)
"""


def test_the_registry_finds_the_installed_driver_by_its_url(installed, tmp_path):
    result = installed.python("-c", FIND, f"folder://{tmp_path}/store")
    assert result.returncode == 0, result.stderr
    name, file, job = result.stdout.split()
    assert (name, job) == ("FolderDriver", "a")
    assert Path(file).is_relative_to(installed.site), "the driver came from elsewhere than its distribution"


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_the_kit_proves_the_installed_driver(installed):
    result = installed.python("-m", "pytest", "-q", "-rfE", "-p", "no:cacheprovider")
    assert result.returncode == 0, result.stdout + result.stderr
    passed = re.search(r"(\d+) passed", result.stdout)
    assert passed is not None
    assert int(passed[1]) > 250, "the kit was not collected"


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_the_command_proves_a_store_that_is_there(installed, tmp_path):
    result = installed.python("-m", "longshore.testing", f"folder://{tmp_path}/store")
    assert result.returncode == 0, result.stdout + result.stderr
    assert "DURABLE" in result.stdout
    assert "SHARED" in result.stdout


def test_the_driver_imports_nothing_of_the_core_but_the_contract():
    imported = set()
    for path in (TEMPLATE / "src").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                imported |= {name.name for name in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module == "longshore":
                imported |= {f"longshore.{name.name}" for name in node.names}
            elif isinstance(node, ast.ImportFrom):
                imported.add(node.module)
    ours = {name for name in imported if name.partition(".")[0] == "longshore"}
    assert ours == ALLOWED
    others = {name.partition(".")[0] for name in imported - ours} - sys.stdlib_module_names
    assert others == {"longshore_folder", "msgspec"}


def blocks(language: str) -> list[str]:
    found = [text for name, text in BLOCK.findall(GUIDE.read_text()) if name == language]
    assert found, f"expected blocks of {language} in {GUIDE.name}"
    return found


def test_the_python_of_the_guide_runs(tmp_path):
    script = tmp_path / "guide.py"
    script.write_text("\n".join(blocks("python")))
    runpy.run_path(str(script))


def test_the_commands_of_the_guide_exist():
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    for line in "".join(blocks("sh")).splitlines():
        program, *arguments = shlex.split(line)
        assert shutil.which(program, path=path), f"there is no command {program}"
        if arguments[0] == "-m":
            spec = importlib.util.find_spec(arguments[1])
            assert spec is not None, f"there is no module {arguments[1]}"
            runnable = f"{arguments[1]}.__main__" if spec.submodule_search_locations else arguments[1]
            assert importlib.util.find_spec(runnable), f"{arguments[1]} cannot be run"


def test_the_entry_point_of_the_guide_is_that_of_the_template():
    whole = tomllib.loads((TEMPLATE / "pyproject.toml").read_text())
    for text in blocks("toml"):
        groups = tomllib.loads(text)["project"]["entry-points"]
        assert groups == whole["project"]["entry-points"]


def test_the_guide_names_parts_of_the_kit_that_are_there():
    from longshore.testing import promises

    named = set(re.findall(r"`(\w+Promises)`", GUIDE.read_text()))
    assert named == {name for name in vars(promises) if name.endswith("Promises")} - {"RefusalPromises", "Promises"}

"""Where an engine's server can come from on this machine, the best first."""

from __future__ import annotations

import os
import shutil
import sys
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Literal

from engines.recipes import RECIPES, Recipe

Source = Literal["environment", "docker", "program", "wheel"]
SOURCES: tuple[Source, ...] = ("environment", "docker", "program", "wheel")


@dataclass(frozen=True, slots=True)
class Origin:
    """One place a server comes from, and the URL, image or program found there."""

    source: Source
    place: str

    def __str__(self) -> str:
        # The URL of the environment may hold a password.
        return self.source if self.source == "environment" else f"{self.source} {self.place}"


@dataclass(frozen=True, slots=True)
class Missing:
    """One place where no server was found, and what would put one there."""

    source: Source
    remedy: str


def origins(engine: str) -> list[Origin | Missing]:
    """Every place looked at for this engine, in the order they are tried."""
    recipe = RECIPES[engine]
    return [_environment(engine), _docker(recipe), _program(recipe), _wheel(recipe)]


def _environment(engine: str) -> Origin | Missing:
    variable = f"LONGSHORE_TEST_{engine.upper()}_URL"
    url = os.environ.get(variable)
    return Origin("environment", url) if url else Missing("environment", f"set {variable}")


def _docker(recipe: Recipe) -> Origin | Missing:
    if not _docker_answers():
        return Missing("docker", "start a Docker engine and install testcontainers")
    return Origin("docker", recipe.image.name)


def _docker_answers() -> bool:
    if "DOCKER_HOST" not in os.environ and not Path("/var/run/docker.sock").exists():
        return False
    try:
        import docker
        import testcontainers  # noqa: F401  # what starts the container must be there as well
    except ImportError:
        return False
    try:
        client = docker.from_env(timeout=3)
    except docker.errors.DockerException:
        return False
    try:
        return bool(client.ping())
    except (docker.errors.DockerException, OSError):
        return False
    finally:
        client.close()


def _program(recipe: Recipe) -> Origin | Missing:
    found = shutil.which(recipe.program, path=_path_outside())
    if found:
        # Debian's links stand elsewhere than what belongs to the programs; but some programs go by their link's name.
        real = Path(found).resolve()
        return Origin("program", str(real if real.name == recipe.program else found))
    for pattern in recipe.folders:
        programs = [folder / recipe.program for folder in Path("/").glob(pattern.lstrip("/"))]
        present = sorted((program for program in programs if program.exists()), key=_version_in_path)
        if present:
            return Origin("program", str(present[-1]))
    return Missing("program", f"install {recipe.program} on PATH")


def _path_outside() -> str:
    """PATH without this environment's own programs: those of a wheel are another source."""
    own = Path(sys.prefix) / "bin"
    return os.pathsep.join(each for each in os.environ.get("PATH", "").split(os.pathsep) if Path(each) != own)


def _version_in_path(program: Path) -> tuple[int, ...]:
    return tuple(int(part) for part in program.parts if part.isdigit())


def _wheel(recipe: Recipe) -> Origin | Missing:
    if recipe.wheel is None:
        return Missing("wheel", "none is known")
    remedy = f"pip install {recipe.wheel.distribution}"
    try:
        distribution = metadata.distribution(recipe.wheel.distribution)
    except metadata.PackageNotFoundError:
        return Missing("wheel", remedy)
    program = Path(str(distribution.locate_file(recipe.wheel.program)))
    return Origin("wheel", str(program)) if program.exists() else Missing("wheel", remedy)

"""Stages built as plain directories: debootstrap stands in for the base image, chroot for the engine's RUN."""

from __future__ import annotations

import fnmatch
import os
import re
import shutil
import string
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Callable

from docker.proof import index
from docker.proof.recipe import Stage, Step, UnknownInstruction, stages

PATH = "/usr/local/bin:/usr/local/sbin:/usr/bin:/usr/sbin:/bin:/sbin"
BASE = re.compile(r"^python:(?P<version>\d+\.\d+)-slim-(?P<suite>[a-z]+)$")
WITH_PROC = 'mount -t proc proc "$0/proc" && cd / && exec chroot "$0" /bin/sh -c "cd \\"\\$0\\" && $1" "$2"'


@dataclass
class Image:
    """What the steps so far have made."""

    root: Path
    env: dict[str, str] = field(default_factory=lambda: {"PATH": PATH})
    user: str = "0:0"
    workdir: str = "/"
    volumes: list[str] = field(default_factory=list)
    ports: list[str] = field(default_factory=list)
    entrypoint: list[str] = field(default_factory=list)
    cmd: list[str] = field(default_factory=list)
    healthcheck: list[str] = field(default_factory=list)
    stop_signal: str = "SIGTERM"

    def inside(self, path: str) -> Path:
        return self.root / path.lstrip("/")


class Builder:
    """Follows a Dockerfile; the last stage is the image."""

    def __init__(self, context: Path, folder: Path) -> None:
        self.context, self.folder = context, folder
        self.stages: dict[str, Image] = {}

    def build(self, dockerfile: str) -> Image:
        image = None
        for stage in stages(dockerfile):
            image = self.stages[stage.name] = self._stage(stage)
        assert image is not None
        return image

    def _stage(self, stage: Stage) -> Image:
        print(f"FROM {stage.base} AS {stage.name}", flush=True)
        root = self.folder / stage.name
        subprocess.run(["cp", "-a", "--reflink=auto", self._base(stage.base), root], check=True)
        image = Image(root)
        for step in stage.steps:
            print(f"{step.word} {step.text}", flush=True)
            follow(step)(self, image, step)
        return image

    def _base(self, tag: str) -> Path:
        """Debian of the same release, whose Python must be the version the tag names."""
        match = BASE.match(tag)
        if match is None:
            raise UnknownInstruction(f"no stand-in for the base image {tag}")
        root = self.folder / "base" / match["suite"]
        if not root.exists():
            bootstrap(match["suite"], root)
        found = subprocess.run(["chroot", root, "python", "--version"], check=True, capture_output=True, text=True)
        if not found.stdout.startswith(f"Python {match['version']}."):
            raise UnknownInstruction(f"{tag}: the {match['suite']} release of Debian has {found.stdout.strip()}")
        return root

    # the instructions

    def run(self, image: Image, step: Step) -> None:
        """A shell's line as root, with a /proc that goes with it. The package index is this machine's."""
        env = {**image.env, **index.variables()}
        index.bring_files(env, image.root)
        command = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "-c", WITH_PROC]
        subprocess.run([*command, image.root, step.text, image.workdir], env=env, check=True, timeout=600)

    def copy(self, image: Image, step: Step) -> None:
        *sources, target = step.words
        for source in sources:
            origin = self.stages[step.flags["from"]].inside(source) if "from" in step.flags else self.context / source
            place = image.inside(target)
            if origin.is_dir():
                ignore = None if "from" in step.flags else self._ignored
                shutil.copytree(origin, place, symlinks=True, ignore=ignore, dirs_exist_ok=True)
            else:
                place.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(origin, place / origin.name if target.endswith("/") else place)

    def _ignored(self, folder: str, names: list[str]) -> set[str]:
        """By .dockerignore: ``**/name`` at any depth, everything else from the top."""
        patterns = (self.context / ".dockerignore").read_text(encoding="utf-8").split()
        relative = {name: str((Path(folder) / name).relative_to(self.context)) for name in names}
        deep = [pattern[3:] for pattern in patterns if pattern.startswith("**/")]
        return {
            name
            for name, path in relative.items()
            if path in patterns or any(fnmatch.fnmatch(name, pattern) for pattern in deep)
        }

    def set_env(self, image: Image, step: Step) -> None:
        for word in step.words:
            name, _, value = word.partition("=")
            image.env[name] = string.Template(value).safe_substitute(image.env)

    def set_workdir(self, image: Image, step: Step) -> None:
        image.workdir = step.text
        image.inside(step.text).mkdir(parents=True, exist_ok=True)

    def set_user(self, image: Image, step: Step) -> None:
        image.user = step.text

    def set_healthcheck(self, image: Image, step: Step) -> None:
        image.healthcheck = Step("CMD", step.text.partition("CMD ")[2]).words

    def set_words(self, image: Image, step: Step) -> None:
        setattr(image, {"VOLUME": "volumes", "EXPOSE": "ports"}.get(step.word, step.word.lower()), step.words)

    def set_stop_signal(self, image: Image, step: Step) -> None:
        image.stop_signal = step.text

    def note(self, image: Image, step: Step) -> None:
        """Nothing to do."""


INSTRUCTIONS: dict[str, Callable[[Builder, Image, Step], None]] = {
    "RUN": Builder.run,
    "COPY": Builder.copy,
    "ENV": Builder.set_env,
    "USER": Builder.set_user,
    "WORKDIR": Builder.set_workdir,
    "HEALTHCHECK": Builder.set_healthcheck,
    "STOPSIGNAL": Builder.set_stop_signal,
    "LABEL": Builder.note,
    **dict.fromkeys(("VOLUME", "EXPOSE", "ENTRYPOINT", "CMD"), Builder.set_words),
}


def follow(step: Step) -> Callable[[Builder, Image, Step], None]:
    if step.word not in INSTRUCTIONS:
        raise UnknownInstruction(step.word)
    return INSTRUCTIONS[step.word]


def bootstrap(suite: str, root: Path) -> None:
    """The smallest Debian with Python; ``python`` is what the base image calls it."""
    root.parent.mkdir(parents=True, exist_ok=True)
    include = "--include=python3,python3-venv,ca-certificates"
    subprocess.run(["debootstrap", "--variant=minbase", include, suite, root, mirror()], check=True, timeout=600)
    (root / "usr/local/bin/python").symlink_to("/usr/bin/python3")
    shutil.copy2("/etc/resolv.conf", root / "etc/resolv.conf")


def mirror() -> str:
    """DEBIAN_MIRROR, else where this machine gets Debian from. Raises SystemExit if neither is known."""
    texts = [path.read_text(encoding="utf-8") for path in Path("/etc/apt").glob("sources.list*/*")]
    single = Path("/etc/apt/sources.list")
    texts += [single.read_text(encoding="utf-8")] if single.exists() else []
    found = re.findall(r"https?://\S+/debian/?(?=\s)", "\n".join(texts) + "\n")
    given = os.environ.get("DEBIAN_MIRROR") or next(iter(found), None)
    if given is None:
        raise SystemExit("No mirror of Debian is named in /etc/apt: set DEBIAN_MIRROR to the URL of one.")
    return given

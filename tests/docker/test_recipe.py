"""The proof of the image reads the Dockerfile itself, and leaves no step out in silence."""

from __future__ import annotations

import pytest

from docker.proof import image, index
from docker.proof.recipe import Step, UnknownInstruction, parse, stages
from tests.support.processes import ROOT

DOCKERFILE = (ROOT / "docker" / "Dockerfile").read_text()


def test_the_recipe_has_its_stages_and_every_step_has_a_way_to_be_followed():
    build, final = stages(DOCKERFILE)
    assert (build.name, final.name) == ("build", "1")
    assert build.base == final.base
    for step in [*build.steps, *final.steps]:
        image.follow(step)


def test_what_nobody_can_follow_is_an_error():
    with pytest.raises(UnknownInstruction):
        image.follow(Step("ONBUILD", "RUN true"))
    with pytest.raises(UnknownInstruction):
        parse("run it somehow")


def test_lines_are_joined_and_comments_left_out():
    [stage] = stages("FROM a AS b\n# not this\nRUN one \\\n    && two\n")
    assert stage.steps == [Step("RUN", "one && two")]


def test_flags_and_forms():
    step = parse("COPY --from=build /a /b")
    assert step.flags == {"from": "build"}
    assert step.words == ["/a", "/b"]
    assert parse('CMD ["worker"]').words == ["worker"]


def test_the_healthcheck_is_the_images_own(tmp_path):
    built = image.Image(tmp_path)
    for step in stages(DOCKERFILE)[-1].steps:
        if step.word in {"HEALTHCHECK", "ENTRYPOINT", "CMD", "USER", "ENV", "VOLUME"}:
            image.follow(step)(image.Builder(ROOT, tmp_path), built, step)
    assert built.healthcheck == ["entrypoint.sh", "healthcheck"]
    assert built.entrypoint == ["entrypoint.sh"]
    assert built.user == "10001:10001"
    assert built.volumes == ["/var/lib/relay"]
    assert built.env["PATH"] == f"/opt/relay/bin:{image.PATH}"


def test_a_base_image_without_a_stand_in_is_an_error(tmp_path):
    builder = image.Builder(ROOT, tmp_path)
    with pytest.raises(UnknownInstruction, match="alpine"):
        builder.build("FROM python:3.13-alpine\n")


def test_the_context_leaves_out_what_dockerignore_names(tmp_path):
    for path in (
        ".git/config",
        "docs/_build/a",
        "docs/b.md",
        "pkg/__pycache__/c",
        "pkg/d.py",
        "var/e",
        "docker/secrets/f",
    ):
        (tmp_path / "context" / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "context" / path).touch()
    (tmp_path / "context" / ".dockerignore").write_text((ROOT / ".dockerignore").read_text())
    built = image.Image(tmp_path / "root")
    image.Builder(tmp_path / "context", tmp_path).copy(built, Step("COPY", ". /src"))
    assert sorted(path.name for path in built.root.rglob("*") if path.is_file()) == [".dockerignore", "b.md", "d.py"]


def test_folders_of_this_machine_are_not_given_to_pip(monkeypatch):
    assert index.is_folder("file:///srv/simple")
    assert index.is_folder("/no/such/place")
    assert not index.is_folder("https://pypi.example.com/simple")

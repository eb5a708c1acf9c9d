"""The files of docs/ci suit the systems that they are for, and their shell parts do what they say in a user's tree."""

import json
import os
import subprocess
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import tree_sitter
import tree_sitter_groovy
import yaml

from harness.cli.main import main
from harness.shipped import SHIPPED

CI = SHIPPED / "docs" / "ci"
SCHEMAS = {
    "github-actions.yml": "github-workflows.json",
    "gitlab-ci.yml": "gitlab-ci.json",
    "azure-pipelines.yml": "azure-pipelines.json",
}
GROOVY = tree_sitter.Language(tree_sitter_groovy.language())


class Loader(yaml.SafeLoader):
    """`on` is a word here, as the systems read it."""


Loader.yaml_implicit_resolvers = {
    first: [(tag, regex) for tag, regex in resolvers if tag != "tag:yaml.org,2002:bool" or first not in "oO"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def document(name: str) -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.load((CI / name).read_text(), Loader)
    return loaded


@pytest.mark.parametrize(("name", "schema"), SCHEMAS.items())
def test_the_schema_of_the_system_takes_it(name: str, schema: str):
    text = files("check_jsonschema").joinpath("builtin_schemas", "vendor", schema).read_text(encoding="utf-8")
    wanted = json.loads(text)

    errors = [*jsonschema.validators.validator_for(wanted)(wanted).iter_errors(document(name))]

    assert [f"{error.json_path}: {error.message[:200]}" for error in errors] == []


def test_the_schema_refuses_a_slip():
    text = files("check_jsonschema").joinpath("builtin_schemas", "vendor", "github-workflows.json").read_text()
    wrong = document("github-actions.yml")
    wrong["jobs"]["reference"]["step"] = wrong["jobs"]["reference"].pop("steps")

    assert [*jsonschema.validators.validator_for(json.loads(text))(json.loads(text)).iter_errors(wrong)]


def test_the_jenkinsfile_is_groovy():
    tree = tree_sitter.Parser(GROOVY).parse((CI / "Jenkinsfile").read_bytes())

    assert not tree.root_node.has_error


def test_the_guests_of_the_files_have_recipes():
    images = {path.name for path in (SHIPPED / "vm-images").iterdir()}
    named = {
        *document("github-actions.yml")["jobs"]["windows"]["strategy"]["matrix"]["guest"],
        *document("gitlab-ci.yml")["windows"]["parallel"]["matrix"][0]["FLTLAB_GUEST"],
        *(job["FLTLAB_GUEST"] for job in _azure("windows")["strategy"]["matrix"].values()),
    }

    assert named <= images
    assert all(f"'{guest}'" in (CI / "Jenkinsfile").read_text() for guest in named)


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A user's repository with one driver and one suite, in which fltlab was got already."""
    tree = tmp_path_factory.mktemp("tree")
    was = Path.cwd()
    os.chdir(tree)
    try:
        assert main(["new-driver", "mine"]) == main(["new-suite", "first", "--driver", "mine"]) == 0
    finally:
        os.chdir(was)
    (tree / ".tools").mkdir()
    (tree / ".tools" / "fltlab").symlink_to(SHIPPED)
    return tree


@pytest.mark.parametrize("system", ["github", "gitlab", "azure", "jenkins"])
def test_what_the_file_runs_runs_the_suites_of_the_tree(tree: Path, system: str):
    guest = "reference-local"
    environment = {**os.environ, "FLTLAB_GUEST": guest, "FLTLAB_URL": "nowhere"}
    environment["GITHUB_STEP_SUMMARY"] = str(tree / "page.md")

    for script in _scripts(system):
        done = subprocess.run(
            ["bash", "-e", "-c", script], cwd=tree, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr

    suites = ET.parse(tree / "results" / guest / "junit.xml").getroot()
    assert int(suites.attrib["tests"]) >= 1
    assert suites.attrib["failures"] == suites.attrib["errors"] == "0"
    if system == "github":
        assert "first" in (tree / "page.md").read_text()


def _scripts(system: str) -> Iterator[str]:
    """The shell parts of the job that runs on the reference guest."""
    match system:
        case "github":
            steps = document("github-actions.yml")["jobs"]["reference"]["steps"]
            yield from (step["run"] for step in steps if "run" in step)
        case "gitlab":
            yield "\n".join(document("gitlab-ci.yml")[".fltlab"]["script"])
        case "azure":
            yield from (step["bash"] for step in _azure("reference")["steps"] if "bash" in step)
        case "jenkins":
            parts = (CI / "Jenkinsfile").read_text().split("'''")
            yield from parts[1::2]


def _azure(name: str) -> dict[str, Any]:
    jobs: list[dict[str, Any]] = document("azure-pipelines.yml")["stages"][0]["jobs"]
    return next(job for job in jobs if job["job"] == name)

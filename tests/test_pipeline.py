"""dvc.yaml, params.yaml and tasks/ say the same thing."""

import ast
import re
from pathlib import Path

import pytest
import yaml
from conftest import ROOT

from assay import params

STAGES = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]
# What these do to no output: they check, alert or end. Listing them would retrain for a better message.
WITHOUT_EFFECT = {
    "assay/__init__.py",
    "assay/alert.py",
    "assay/errors.py",
    "assay/news.py",
    "assay/outbox.py",
    "assay/params.py",
    "assay/stage.py",
}
SECTIONS = set(params.Params.__dataclass_fields__) - {"paths"}


def local_imports(file: Path) -> set[str]:
    """Return the files of this project that the file imports, directly or not, at its top or inside a function."""
    found: set[str] = set()
    queue = [file]
    while queue:
        for node in ast.walk(ast.parse(queue.pop().read_text())):
            names = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.module:
                names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
            for name in names:
                imported = Path(name.replace(".", "/") + ".py")
                if (ROOT / imported).exists() and str(imported) not in found:
                    found.add(str(imported))
                    queue.append(ROOT / imported)
    return found


def paths_of(entries: list[str | dict[str, object]]) -> set[str]:
    return {entry if isinstance(entry, str) else next(iter(entry)) for entry in entries}


def named(entries: set[str]) -> set[str]:
    """Return the names below `paths` in params.yaml that the entries stand for."""
    return {match[1] for entry in entries if (match := re.match(r"\$\{paths\.([\w.]+)\}", entry))}


def attributes(module: Path, of: str) -> set[str]:
    """Return the dotted names that follow `of.` in the module."""
    return set(re.findall(rf"\b{re.escape(of)}\.((?:metrics\.)?\w+)", module.read_text()))


def test_every_stage_is_a_module_of_tasks_and_no_other_is_there() -> None:
    assert {file.stem for file in (ROOT / "tasks").glob("*.py")} == set(STAGES)


@pytest.mark.parametrize("stage", STAGES)
def test_stage_has_a_description_and_one_simple_command(stage: str) -> None:
    assert STAGES[stage]["desc"].endswith(".")
    assert STAGES[stage]["cmd"] == f"python -m tasks.{stage}"


@pytest.mark.parametrize("stage", STAGES)
def test_deps_name_every_local_file_that_the_stage_imports(stage: str) -> None:
    module = f"tasks/{stage}.py"
    imported = (local_imports(ROOT / module) | {module}) - WITHOUT_EFFECT
    code = {dep for dep in STAGES[stage]["deps"] if dep.endswith(".py")}
    assert imported - code == set(), f"add to dvc.yaml: {stage}: deps, or a change there will not run it again"
    assert code - imported == set(), f"{stage} does not import these; remove them from its deps"


@pytest.mark.parametrize("stage", STAGES)
def test_stage_imports_no_other_stage_and_no_flow(stage: str) -> None:
    others = {name for name in local_imports(ROOT / f"tasks/{stage}.py") if name.startswith(("tasks/", "flows/"))}
    assert others == set()


@pytest.mark.parametrize("module", sorted((ROOT / "assay").glob("*.py")), ids=lambda file: file.stem)
def test_library_imports_neither_tasks_nor_flows(module: Path) -> None:
    assert not re.search(r"^\s*(from|import) (tasks|flows)\b", module.read_text(), re.MULTILINE)


@pytest.mark.parametrize("stage", STAGES)
def test_params_are_those_that_the_stage_reads(stage: str) -> None:
    read = attributes(ROOT / f"tasks/{stage}.py", "p") & SECTIONS
    assert set(STAGES[stage].get("params", [])) == read


@pytest.mark.parametrize("stage", STAGES)
def test_paths_are_those_that_the_stage_uses(stage: str) -> None:
    declared = STAGES[stage]
    ways_in_and_out = [
        *declared["deps"],
        *declared.get("outs", []),
        *declared.get("metrics", []),
        *declared.get("plots", []),
    ]
    used = attributes(ROOT / f"tasks/{stage}.py", "paths") - {"metrics", "memo"}
    guards = {"passed"} if stage == "train" else set()  # looked at, but no input: see tasks/train.py
    assert used - guards == named(paths_of(ways_in_and_out))


@pytest.mark.parametrize("stage", STAGES)
def test_templates_that_the_stage_renders_are_deps(stage: str) -> None:
    text = (ROOT / f"tasks/{stage}.py").read_text()
    text += "".join((ROOT / file).read_text() for file in local_imports(ROOT / f"tasks/{stage}.py"))
    rendered = {
        name for name in re.findall(r"render\(\s*\"([\w.]+)\"", text) if (ROOT / "assay/templates" / name).exists()
    }
    declared = {Path(dep).name for dep in STAGES[stage]["deps"] if "templates/" in dep}
    assert declared == with_frames(rendered)


def with_frames(rendered: set[str]) -> set[str]:
    """Return the templates and those that they extend, import or include, and so on."""
    uses = re.compile(r'{%-? *(?:extends|from|import|include) "(.+?)"')
    found = {name for each in rendered for name in uses.findall(template(each))}
    return rendered | with_frames(found) if found else rendered


def template(name: str) -> str:
    return (ROOT / "assay/templates" / name).read_text()


def test_every_path_is_written_once() -> None:
    paths = yaml.safe_load((ROOT / "params.yaml").read_text())["paths"]
    values = [*(v for v in paths.values() if isinstance(v, str)), *paths["metrics"].values(), *paths["memo"].values()]
    assert len(set(values)) == len(values)
    text = re.sub(r"^\s*#.*", "", (ROOT / "dvc.yaml").read_text(), flags=re.MULTILINE)
    sources = "".join(
        file.read_text() for folder in ("assay", "tasks", "flows") for file in (ROOT / folder).glob("*.py")
    )
    for value in (value for value in values if "/" in value):
        assert not re.search(rf"(?<![\w/.]){re.escape(value)}(?![\w/.])", text), f"{value} stands in dvc.yaml"
        assert f'"{value}"' not in sources, f"{value} stands in the code"


def test_prefect_is_imported_in_flows_only_and_dvc_in_one_module_of_the_library() -> None:
    def importing(folder: str, package: str) -> set[str]:
        pattern = re.compile(rf"^\s*(from|import) {package}\b", re.MULTILINE)
        return {file.name for file in (ROOT / folder).glob("*.py") if pattern.search(file.read_text())}

    assert importing("assay", "prefect") | importing("tasks", "prefect") == set()
    assert importing("tasks", "dvc") == set()
    assert importing("assay", "dvc") == {"tracking.py"}
    validation = {"custom_expectations.py", "data_docs.py", "suites.py", "expectations.py"}
    assert importing("assay", "great_expectations") | importing("tasks", "great_expectations") == validation

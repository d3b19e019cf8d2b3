"""dvc.yaml, params.yaml and tasks/ say the same thing. Who may import whom stands in pyproject.toml."""

import ast
import re
import shutil
from pathlib import Path

import pytest
import yaml
from checkouts import ROOT

from assay import params

STAGES = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]
# What these do to no output: they check, alert or end. Listing them would retrain for a better message.
WITHOUT_EFFECT = ("errors", "operations/", "params", "processes", "state")
SECTIONS = set(params.Params.__dataclass_fields__) - {"paths"}
PACKAGES = sorted(file.parent.relative_to(ROOT).as_posix() for file in (ROOT / "assay").rglob("__init__.py"))
TOP = sorted(file.relative_to(ROOT).as_posix() for file in (ROOT / "assay").glob("*.py"))


def local_imports(file: Path) -> set[str]:
    """Return the files of this project that the file imports, directly or not, at its top or inside a function.

    What those `WITHOUT_EFFECT` import is left out.
    """
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
                    if has_effect(str(imported)):
                        queue.append(ROOT / imported)
    return found


def has_effect(file: str) -> bool:
    return not file.removeprefix("assay/").startswith(WITHOUT_EFFECT)


def code_of(stage: str) -> set[str]:
    return {dep for dep in STAGES[stage]["deps"] if dep.startswith(("assay", "tasks"))}


def covers(dep: str, file: str) -> bool:
    return file == dep or file.startswith(f"{dep}/")


def paths_of(entries: list[str | dict[str, object]]) -> set[str]:
    return {entry if isinstance(entry, str) else next(iter(entry)) for entry in entries}


def named(entries: set[str]) -> set[str]:
    """Return the names below `paths` in params.yaml that the entries stand for."""
    return {match[1] for entry in entries if (match := re.match(r"\$\{paths\.([\w.]+)\}", entry))}


def attributes(files: list[Path], of: str) -> set[str]:
    """Return the dotted names that follow `of.` in the files."""
    text = "".join(file.read_text() for file in files)
    return set(re.findall(rf"\b{re.escape(of)}\.((?:metrics\.)?\w+)", text))


def test_every_stage_is_a_module_of_tasks_and_no_other_is_there() -> None:
    assert {file.stem for file in (ROOT / "tasks").glob("*.py")} == {*STAGES, "__init__"}


@pytest.mark.parametrize("package", PACKAGES)
def test_to_import_one_module_pays_for_no_other(package: str) -> None:
    allowed = "assay" if package == "assay" else ""
    assert package == allowed or (ROOT / package / "__init__.py").read_text() == ""


@pytest.mark.parametrize("stage", STAGES)
def test_stage_has_a_description_and_one_simple_command(stage: str) -> None:
    assert STAGES[stage]["desc"].endswith(".")
    assert STAGES[stage]["cmd"] == f"python -m tasks.{stage}"


@pytest.mark.parametrize("stage", STAGES)
def test_deps_cover_every_local_file_that_the_stage_imports_and_no_folder_for_nothing(stage: str) -> None:
    module = f"tasks/{stage}.py"
    imported = {file for file in local_imports(ROOT / module) | {module} if has_effect(file)}
    deps = code_of(stage) - {"assay/templates"}
    missing = {file for file in imported if not any(covers(dep, file) for dep in deps)}
    assert missing == set(), f"add to dvc.yaml: {stage}: deps, or a change there will not run it again"
    unused = {dep for dep in deps if not any(covers(dep, file) for file in imported)}
    assert unused == set(), f"{stage} does not import these; remove them from its deps"


@pytest.mark.parametrize("stage", STAGES)
def test_shared_templates_are_deps_of_who_renders_pages(stage: str) -> None:
    assert ("assay/templates" in code_of(stage)) == ("assay/pages.py" in code_of(stage))


def test_train_runs_again_for_no_package_but_those_that_make_the_model() -> None:
    """A change of a rule's wording, of a page or of an alert costs no training."""
    touching = {
        part
        for part in [*PACKAGES, *TOP]
        if any(covers(dep, f"{part}/any.py") or covers(dep, part) for dep in code_of("train"))
    }
    of_records, top = {"assay/dataset/records"}, {"assay/files.py", "assay/labels.py", "assay/passes.py"}
    assert touching - {each for each in PACKAGES if each.startswith("assay/training")} == of_records | top


@pytest.mark.parametrize("stage", STAGES)
def test_params_are_those_that_the_stage_reads(stage: str) -> None:
    read = attributes([ROOT / f"tasks/{stage}.py"], "p") & SECTIONS
    assert {key.partition(".")[0] for key in STAGES[stage].get("params", [])} == read


@pytest.mark.parametrize("stage", STAGES)
def test_paths_that_the_stage_uses_are_declared(stage: str) -> None:
    declared = STAGES[stage]
    ways_in_and_out = [
        *declared["deps"],
        *declared.get("outs", []),
        *declared.get("metrics", []),
        *declared.get("plots", []),
    ]
    module = ROOT / f"tasks/{stage}.py"
    library = [ROOT / file for file in local_imports(module) if has_effect(file)]
    used = attributes([module], "paths") - {"metrics", "memo"}
    guards = {"passed"} if stage == "train" else set()  # looked at, but no input: see tasks/train.py
    known = named(paths_of(ways_in_and_out))
    assert used - guards - known == set()
    assert known - attributes([module, *library], "paths") == set()


def test_every_path_is_written_once() -> None:
    paths = yaml.safe_load((ROOT / "params.yaml").read_text())["paths"]
    values = [*(v for v in paths.values() if isinstance(v, str)), *paths["metrics"].values(), *paths["memo"].values()]
    assert len(set(values)) == len(values)
    text = re.sub(r"^\s*#.*", "", (ROOT / "dvc.yaml").read_text(), flags=re.MULTILINE)
    sources = "".join(
        file.read_text() for folder in ("assay", "tasks", "flows") for file in (ROOT / folder).rglob("*.py")
    )
    for value in (value for value in values if "/" in value):
        assert not re.search(rf"(?<![\w/.]){re.escape(value)}(?![\w/.])", text), f"{value} stands in dvc.yaml"
        assert f'"{value}"' not in sources, f"{value} stands in the code"


def test_every_path_that_a_text_names_is_there() -> None:
    texts = [ROOT / "README.md", *(ROOT / "docs").glob("*.md"), *(ROOT / "benchmarks").glob("*.md")]
    code = [file for folder in ("assay", "tasks", "flows") for file in (ROOT / folder).rglob("*.py")]
    suites = [*(ROOT / "expectations").glob("*.yaml"), ROOT / "params.yaml", ROOT / "dvc.yaml", ROOT / "pyproject.toml"]
    named = {
        (file.relative_to(ROOT).as_posix(), path)
        for file in [*texts, *code, *suites]
        for path in re.findall(
            r"(?<![\w./-])(?:assay|tasks|flows|docs|expectations|benchmarks)/[\w/]*\w\.\w+", file.read_text()
        )
    }
    assert len(named) > 50
    lost = {(file, path) for file, path in named if not (ROOT / path).exists()}
    assert {each for each in lost if "/waivers.yaml" not in each[1]} == set()  # that one a user writes


@pytest.mark.slow
def test_dvc_runs_a_stage_again_for_the_packages_that_it_names_and_for_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dvc.repo import Repo

    monkeypatch.chdir(tmp_path)
    for folder in ("assay", "tasks"):
        shutil.copytree(ROOT / folder, folder, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / ".dvcignore", tmp_path)
    stages = {stage: {"cmd": "true", "deps": sorted(code_of(stage))} for stage in STAGES}
    Path("dvc.yaml").write_text(yaml.safe_dump({"stages": stages}))
    with Repo.init(no_scm=True) as repo:
        repo.reproduce()
    for package in PACKAGES:
        file = Path(package) / "new.py"
        file.touch()
        (Path(package) / ".new.py.swp").touch()  # an editor's, which .dvcignore covers
        with Repo() as repo:
            again = set(repo.status())
        wanted = {stage for stage in STAGES if any(covers(dep, str(file)) for dep in code_of(stage))}
        assert again == wanted, package
        file.unlink()
    with Repo() as repo:
        assert repo.status() == {}

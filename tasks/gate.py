"""Stop here unless the data passed every critical expectation."""

from assay import files, gate, params, stage
from assay.errors import AssayError


def main(p: params.Params) -> None:
    p.paths.passed.unlink(missing_ok=True)  # a closed gate leaves no pass, not even that of an earlier run
    results = p.paths.validation / "results.json"
    if not results.exists():
        raise AssayError(f"{results} is missing: nothing was validated; run `dvc repro validate`")
    files.write_json(p.paths.passed, gate.judge(files.read_json(results), files.sha256(p.paths.manifest)))
    print(f"the gate is open: {p.paths.passed}")


if __name__ == "__main__":
    stage.run("gate", main)

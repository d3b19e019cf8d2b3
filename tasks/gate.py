"""Stop here unless the data passed every critical expectation."""

from assay import files, params, passes
from assay.errors import AssayError
from assay.operations import alert, messages, stage_run
from assay.validation import gate


def main(p: params.Params) -> None:
    p.paths.passed.unlink(missing_ok=True)  # a closed gate leaves no pass, not even that of an earlier run
    results = p.paths.validation / "results.json"
    if not results.exists():
        raise AssayError(f"{results} is missing: nothing was validated; run `dvc repro validate`")
    found = files.read_json(results)
    passed = gate.judge(found, files.sha256(p.paths.manifest), passes.today())
    files.write_json(p.paths.passed, passed)
    if told := gate.set_aside(found):
        print(told)
        if not stage_run.is_of_flow():  # which tells it, for it knows where the report stays
            alert.send(messages.set_aside(told, gate.images_set_aside(found), p.paths.validation / "index.html"))
    print(*gate.weaker_lines(found["weaker"]), f"the gate is open: {p.paths.passed}", sep="\n")


if __name__ == "__main__":
    stage_run.run("gate", main)

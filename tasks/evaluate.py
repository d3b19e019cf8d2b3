"""Measure the model on the test split; choose on the val split how it answers."""

from assay import files, params, passes, words
from assay.dataset.records import contents
from assay.evaluation import answering, asking, examples, figures, ood, page, predictions, provenance, results
from assay.evaluation.diagnosis import diagnose, evidence
from assay.evaluation.diagnosis import drawn as causes_drawn
from assay.operations import stage_run
from assay.training import tensors

DECIMALS = {"predictions": "%.6f", "plots": "%.5f", "suspects": "%.4f"}


def main(p: params.Params) -> None:
    passes.check_open(p.paths.passed, p.paths.manifest)
    passes.check_verified(p.paths.verified, p.paths.index)
    tensors.set_up(threads=p.threads, portable=p.train.portable)
    index = contents.read_index(p.paths.index)
    asked = asking.read(p.paths, index)
    reference = results.reference(asked.train)
    found = results.evaluate(asked, reference, p.evaluate)
    answers = found.test.answers

    for split, outputs in (("train", asked.train), ("val", asked.val), ("test", asked.test)):
        predictions.write(p.paths.outputs / f"{split}.npz", outputs)
    ood.write(p.paths.reference, reference)
    answering.write(p.paths.answering, found.answering)
    files.write_json(p.paths.metrics.eval, {"eval": figures.as_metrics(found)})
    table = predictions.table(asked.test, answers, index.classes)
    files.write_csv(p.paths.predictions, table, DECIMALS["predictions"])
    files.write_csv(p.paths.confusion, figures.confusion(found))
    curves = figures.curves(answers.actual, answers.probabilities, index.classes)
    files.write_csv(p.paths.roc, curves, DECIMALS["plots"])
    files.write_csv(p.paths.calibration, figures.reliability(found), DECIMALS["plots"])
    files.write_csv(p.paths.evaluation / "suspects.csv", found.suspects.map(words.cell), DECIMALS["suspects"])
    shown = examples.choose(found, reference)
    seen = evidence.read(p, "run")
    why = diagnose.diagnose(seen)
    files.write_json(p.paths.evaluation / "diagnosis.json", diagnose.as_json(why))
    pixels = asking.pictures(p.paths.records, index, shown.wanted(found) | causes_drawn.wanted(why))
    of_causes = causes_drawn.cards(why, seen, pixels)
    sections = {"seed": p.seed, "preprocess": p.preprocess, "train": p.train, "evaluate": p.evaluate}
    made_from = provenance.read(p.paths, index, **sections)
    html = page.build(
        p.paths,
        found,
        shown,
        pixels=pixels,
        made_from=made_from,
        why=of_causes,
        looked_at=why.looked_at,
        p=p.register,
    )
    files.write_text(p.paths.evaluation / "index.html", html)
    print(
        *page.lines(found),
        *diagnose.headline(why),
        f"report: {(p.paths.evaluation / 'index.html').as_posix()}",
        sep="\n",
    )


if __name__ == "__main__":
    stage_run.run("evaluate", main)

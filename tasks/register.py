"""Export the model, prove it beside Keras, and say whether it may replace the champion, and why."""

from assay import files, params, passes
from assay.dataset import splits
from assay.dataset.records import contents
from assay.evaluation import candidate, card, decided, noise, registry, tested, verdict_page
from assay.images import decode
from assay.inference import proven
from assay.operations import stage_run, summary
from assay.training import tensors


def main(p: params.Params) -> None:
    set_aside = passes.check_open(p.paths.passed, p.paths.manifest)
    tensors.set_up(threads=p.threads, portable=p.train.portable)
    index = contents.read_index(p.paths.index)
    test = tested.read(p.paths, index)
    model_sha256 = files.sha256(p.paths.model)
    champion = tested.champion_of(registry.champions(p.paths.champions), model_sha256)
    ledger_id = splits.identity(splits.read(p.paths.ledger))
    look = {"ledger": ledger_id, "last_batch": int(test.batch.max()), "model": model_sha256}
    looks = tested.with_look(registry.looks(p.paths.looks), look)
    judged = candidate.judge(test, champion, registry.noise(p.paths.noise), looks, p.register)
    made = candidate.build(judged, test, champion, look)
    made["model"] = {"sha256": model_sha256, "bytes": p.paths.model.stat().st_size}
    made["export"] = proven.write(p.paths, index, decode.preparation(p.preprocess, p.ingest))
    made["recipe"] = noise.recipe(files.read_yaml(params.FILE))
    made["data"] = {"manifest": files.sha256(p.paths.manifest)}

    files.write_json(p.paths.candidate, made)
    files.write_json(p.paths.looks, looks)
    text = card.build(p.paths, index, made, n_set_aside=len(set_aside), p=p.train, threads=p.threads)
    files.write_text(p.paths.card, text)
    files.write_text(p.paths.verdict / "index.html", verdict_page.build(p.paths.evaluation / "index.html", made))
    print(*decided.lines(made), "", *summary.lines(p), sep="\n")


if __name__ == "__main__":
    stage_run.run("register", main)

"""Say whether the model may replace the champion, and why."""

import hashlib
from dataclasses import asdict

import pandas as pd

from assay import files, gate, labels, ledger, manifest, params, records, registry, report, stage


def main(p: params.Params) -> None:
    set_aside = gate.check_open(p.paths.passed, p.paths.manifest)
    metrics = files.read_json(p.paths.metrics.eval)["eval"]
    index = records.read_index(p.paths.index)
    test = read_test(p.paths)
    model_sha256 = files.sha256(p.paths.model)
    champion = registry.champion_of(files.read_json(p.paths.champions), model_sha256)
    checks = registry.absolute_checks(metrics, index.task, p.register)
    ledger_id = ledger.identity(ledger.read(p.paths.ledger))
    checks += [registry.compare(champion, test, index, ledger_id, p.register)] if champion else []
    candidate = {
        "verdict": registry.verdict(checks),
        "checks": [asdict(check) for check in checks],
        "champion": champion and champion["version"],
        "model": {"sha256": model_sha256, "bytes": p.paths.model.stat().st_size},
        "task": index.task,
        "classes": index.classes,
        "data": {"manifest": files.sha256(p.paths.manifest)},
        "split": {"test": hashlib.sha256("".join(test["sha256"]).encode()).hexdigest(), "n_test_images": len(test)},
        "last_batch": int(test["batch"].max()),
        "ledger": ledger_id,
        "errors": test.loc[~test["correct"], "sha256"].tolist(),
    }
    files.write_json(p.paths.candidate, candidate)
    data = files.read_json(p.paths.metrics.data)["data"]
    n_set_aside = data["n_set_aside"] + len(set_aside)
    n_used = sum(split.n_images for split in index.splits.values())
    counts = {"n_images": data["n_images"], "n_set_aside": n_set_aside}
    counts |= {"n_copies": data["n_images"] - n_set_aside - n_used}
    shape = {"height_px": index.height_px, "width_px": index.width_px, "channels": index.channels}
    about = {"metrics": metrics, "classes": index.classes, "threshold": labels.THRESHOLD, "splits": index.splits}
    card = report.render("card.md", candidate=candidate, **about, **counts, **shape)
    files.write_text(p.paths.card, card)
    against = f"champion {champion['version']}" if champion else "no champion yet"
    print(f"{candidate['verdict']} ({against})", *(f"  {'+' if c.passed else '-'} {c.text}" for c in checks), sep="\n")


def read_test(paths: params.Paths) -> pd.DataFrame:
    """Return one row per test image, sorted by `sha256`: `batch` is the number of its batch, `correct` the outcome."""
    texts = {"sha256": str, "label": str, "predicted": str}
    predicted = pd.read_csv(paths.predictions, dtype=texts, keep_default_na=False)
    rows = manifest.read(paths.manifest).drop_duplicates("sha256")
    test = predicted.merge(rows[["sha256", "batch"]], on="sha256", how="left", validate="one_to_one")
    test["batch"] = test["batch"].str.partition("-")[0].astype(int)
    return test.assign(correct=test["label"] == test["predicted"]).sort_values("sha256")


if __name__ == "__main__":
    stage.run("register", main)

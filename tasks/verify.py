"""Stop here unless the shards hold what the manifest says: nothing is trained on records that nobody has read."""

from assay import expectations, files, gate, manifest, params, records, stage, suites, verification
from assay.errors import GateClosed


def main(p: params.Params) -> None:
    p.paths.verified.unlink(missing_ok=True)
    set_aside = gate.check_open(p.paths.passed, p.paths.manifest)
    rows = manifest.read(p.paths.manifest)
    rows = rows[rows["split"].notna() & ~rows["path"].isin(set_aside)]
    index = records.read_index(p.paths.index)
    tables = verification.build(
        p.paths.records, p.paths.raw, index, rows, p.preprocess, n_samples=p.verify.sample_images
    )
    rules = suites.read(p.paths.expectations, suites.OF_RECORDS)
    checked = expectations.check(rules, tables)
    for result in checked:
        if not result.success and result.severity != "critical":
            print(f"{result.severity}: {result.message}")
    if closed := [result.message for result in checked if not result.success and result.severity == "critical"]:
        n = f"{len(closed)} critical expectation{'s' * (len(closed) != 1)}"
        raise GateClosed("\n".join([f"the records broke {n}", *closed]))
    files.write_json(p.paths.verified, {"records": "verified", "index": files.sha256(p.paths.index)})
    n_shards, n_images, n_samples = (len(tables[name]) for name in ("shards", "recorded", "samples"))
    print(f"{n_images:,} images in {n_shards:,} shards are as the manifest has them, {n_samples:,} were decoded again")


if __name__ == "__main__":
    stage.run("verify", main)

"""What `.assay/` holds: it waits for people or spares work; it may be deleted, and changes no result."""

from pathlib import Path

LOOKS = Path(".assay/monitor")
ALERTS = Path(".assay/alerts")
EXPORTS = Path(".assay/exports")  # of released versions, fetched
ANSWERED = Path(".assay/predictions")  # what `assay serve` said, a file a day
PROBE = Path(".assay/probe.json")  # accuracies on val of short trainings
RUNS = Path(".assay/runs")
SOURCES = Path(".assay/watch.json")
CONTENTS = Path(".assay/contents")  # the SHA-256 of the files of each source
CHECKOUT = Path(".assay/retrain/checkout")
MEMO = Path(".assay/retrain/memo")  # what spares work, kept between retrainings
STAGES = Path(".assay/stages")  # where single stages of retrainings elsewhere work, with a lock of its own
READY = Path(".dvc/tmp/retrain.json")  # in the worktree, written last
BRANCHES = "retrain/"

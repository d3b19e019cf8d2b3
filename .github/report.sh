#!/usr/bin/env bash
# report.sh OLD NEW FOLDER: leaves FOLDER/report.md and the plots of two commits as pictures. NEW must be checked out.
# Exit code 4: the model is worse than the limit allows. 5: the results in git are not those of the code in git.
set -euo pipefail
old=$1 new=$2 folder=$3
PATH="$PWD/.venv/bin:$PATH"
mkdir -p "$folder"

code=0
assay compare "$old" "$new" --plots "$folder" > "$folder/report.md" || code=$?
[ "$code" -eq 0 ] || [ "$code" -eq 4 ] || exit "$code"

# Nothing of the data need be here: what is missing but recorded counts as there. At a stage that would run, or behind
# it, DVC fails for want of data.
said=$(dvc repro --dry --allow-missing 2>&1) && failed= || failed=yes
stale=$(sed -n "s/^Running stage '\(.*\)':$/\1/p; s/^ERROR: failed to reproduce '\([^']*\)'.*/\1/p" <<< "$said" | paste -sd' ')
if [ -n "$stale$failed" ]; then
  printf '\n**dvc.lock is not that of this commit**: `dvc repro` would run %s. Run it, and commit what it leaves.\n' \
    "${stale:-nothing, for: $(tail -n 1 <<< "$said")}" | tee -a "$folder/report.md" >&2
  exit 5
fi
exit "$code"

#!/usr/bin/env bash
# pictures.sh FOLDER NAME: adds the pictures of FOLDER as the folder NAME to the branch report-pictures of origin.
set -euo pipefail
if git fetch -q origin report-pictures; then tip=FETCH_HEAD; else
  tip=$(git commit-tree "$(git mktree < /dev/null)" -m "Pictures of pull requests")
fi
pictures=$(mktemp -d)
git worktree add -q --detach "$pictures" "$tip"
mkdir -p "$pictures/$2"
cp "$1"/*.png "$pictures/$2"
git -C "$pictures" add -A
git -C "$pictures" diff --cached --quiet || git -C "$pictures" commit -qm "Pictures of $2"
git -C "$pictures" push -q origin HEAD:refs/heads/report-pictures
git worktree remove -f "$pictures"

"""Counts lit's results: the skipped tests by reason, the failed ones, then one
line `N passed, N failed, N skipped`. Fails when a test failed or none ran."""

import collections
import json
import os
import re
import sys

folder = sys.argv[1]
with open(os.path.join(folder, "results.json")) as f:
    tests = json.load(f)["tests"]
remedies = {}
with open(os.path.join(folder, "missing-features.txt")) as f:
    for line in f:
        feature, remedy = line.rstrip("\n").split("\t", 1)
        remedies[feature] = remedy


def reason(output):
    """lit says which features a test lacks; a GoogleTest skip says why itself."""
    match = re.search(r"unavailable features:\s*(.*)", output)
    if match:
        features = [name.strip() for name in match.group(1).split(",")]
        return "; ".join(remedies.get(name, "not with " + name) for name in features)
    match = re.search(r"unsupported with the following features:\s*(.*)", output)
    if match:
        return "not with " + match.group(1).strip()
    return output.strip() or "no reason given"


passed, failed, skipped = 0, [], collections.defaultdict(list)
for test in tests:
    if test["code"] in ("PASS", "XFAIL", "FLAKYPASS"):
        passed += 1
    elif test["code"] == "UNSUPPORTED":
        skipped[reason(test["output"])].append(test["name"])
    else:
        failed.append(test["name"])

print()
for why, names in sorted(skipped.items()):
    print("skipped: %s" % why)
    for name in names:
        print("    %s" % name)
for name in failed:
    print("failed: %s" % name)
print(
    "%d passed, %d failed, %d skipped"
    % (passed, len(failed), sum(len(names) for names in skipped.values()))
)
sys.exit(1 if failed or not passed else 0)

"""Prints what lit's JSON results say: skipped tests with what they need, failures, and `N passed, N failed`."""
import json
import sys

try:
    with open(sys.argv[1]) as f:
        tests = json.load(f)["tests"]
except (OSError, ValueError) as error:
    print(f"run-tests: lit left no results: {error}")
    print("0 passed, 1 failed")
    sys.exit(1)

passed = [t for t in tests if t["code"] in ("PASS", "FLAKYPASS", "XFAIL")]
skipped = [t for t in tests if t["code"] in ("UNSUPPORTED", "SKIPPED", "EXCLUDED")]
failed = [t for t in tests if t not in passed and t not in skipped]
if skipped:
    print(f"skipped {len(skipped)} that need data or rights this machine does not have (DNN_DATA_DIR names the data folder):")
    for t in skipped:
        print("  " + t["name"])
for t in failed:
    print(f"{t['code']}: {t['name']}")
print(f"{len(passed)} passed, {len(failed)} failed")
sys.exit(1 if failed or not passed else 0)

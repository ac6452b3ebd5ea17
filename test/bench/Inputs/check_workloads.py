"""usage: check_workloads.py DNNC FOLDER. Prints what is wrong with the workloads and exits with 1.

workload.json counts products only, and the bytes of what cannot stay in registers, so the step has a little more."""
import json
import pathlib
import subprocess
import sys

dnnc, folder = sys.argv[1], pathlib.Path(sys.argv[2])
problems = []
found = sorted(folder.glob("*/model.dnn"))
for model in found:
    name = model.parent.name
    for other in ("torch_step.py", "jax_step.py", "workload.json"):
        if not (model.parent / other).exists():
            problems.append(f"{name} has no {other}")
    checked = subprocess.run([dnnc, "check", model], text=True, stderr=subprocess.PIPE)
    if checked.returncode != 0:
        problems.append(f"{name}: {checked.stderr}")
        continue
    described = json.loads((model.parent / "workload.json").read_text())
    if described["bytes"] > 50e6:
        continue  # takes too long for a test
    timed = subprocess.run([dnnc, "time", model, "--steps", "1", "--json"], text=True, stdout=subprocess.PIPE)
    step = json.loads(timed.stdout)["step"]
    mflop = described["mflop"]
    visited = described.get("visited", mflop)  # with terms that are zero, because they lie outside of an image
    if not mflop <= step["flop"] * 1e-6 <= 1.1 * visited + 3 * described["bytes"] / 4e6:
        problems.append(f"{name} says {mflop} MFLOP, the step has {step['flop'] * 1e-6}")
    if described["bytes"] > step["bytes"]:
        problems.append(f"{name} says {described['bytes']} bytes, the step moves {step['bytes']}")
if not found:
    problems.append(f"no workload in {folder}")
print("\n".join(problems))
sys.exit(1 if problems else 0)

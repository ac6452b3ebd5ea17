"""Reads the JSON of `dnnc time examples/digits/digits.dnn --steps 3 --threads 1` and checks what does not depend on the
machine. Writes what is wrong and exits with 1."""
import json
import sys

report = json.load(sys.stdin)
problems = []


def expect(condition, what):
    if not condition:
        problems.append(what)


expect(report["program"] == "digits" and report["batch"] == 32 and report["threads"] == 1 and report["steps"] == 3, "head")
expect(report["machine"]["gflop_s"] > 0 and [l["name"] for l in report["machine"]["levels"]] ==
       ["L1", "L2", "L3", "memory"], "machine")
kernels = report["kernels"]
expect(len({k["kernel"] for k in kernels}) == len(kernels) > 3, "each kernel stands once")
for k in kernels:
    expect(k["calls"] >= 1 and k["bytes_written"] > 0 and k["from"], k["kernel"])
    expect(0 <= k["min_us"] <= k["median_us"], f"times of {k['kernel']}")
step = report["step"]
expect(step["flop"] == sum(k["calls"] * k["flop"] for k in kernels), "operations of the step")
expect(step["bytes"] == sum(k["calls"] * (k["bytes_read"] + k["bytes_written"]) for k in kernels), "bytes of the step")
# Forward and weight gradients of 64-128-128-10, input gradients of the last two layers: 2 · 32 operations a weight each.
products = 2 * 32 * (2 * (64 * 128 + 128 * 128 + 128 * 10) + 128 * 128 + 128 * 10)
expect(products <= step["flop"] <= 1.3 * products, f"{step['flop']} operations, of these {products} in products")
print("\n".join(problems))
sys.exit(1 if problems else 0)

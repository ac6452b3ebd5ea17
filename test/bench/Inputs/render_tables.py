"""usage: render_tables.py ROOT. Renders a few made-up results."""
import pathlib
import re
import sys

root = pathlib.Path(sys.argv[1])
sys.path.insert(0, str(root / "bench/harness"))
sys.dont_write_bytecode = True
import tables


def level(name, holds, read, update, write, triad):
    return {"name": name, "holds": holds, "read_gb_s": read, "update_gb_s": update, "write_gb_s": write, "triad_gb_s": triad}


def time(least, median, version):
    return {"min_us": least, "median_us": median, "version": version}


results = {
    "machine": {"processor": "Zen, AVX2", "cpus": 2},
    "limits": {"1": {"gflop_s": 100.0, "levels": [level("L2", 500000, 100, 90, 80, 70), level("memory", 2**64, 20, 30, 15, 10)]}},
    "steps": {"mlp-b64/1/torch/eager": time(600, 700, "2"), "mlp-b64/1/jax/jit": time(500, 550, "3"),
              "mlp-b64/1/dnnc/step": time(400, 410, "1"), "mlp-b1/1/dnnc/step": time(30, 31, "1"),
              "resnet20-b128/1/torch/eager": time(600000, 700000, "2"), "resnet20-b128/1/dnnc/step": time(300000, 310000, "1"),
              "resnet20-b128/1/dnnc/strict": time(540000, 550000, "1")},
    "products": {"512×512×512 A·B/1/torch": 90.0, "512×512×512 A·B/1/dnnc": 98.0},
    "memory": {"mlp-b64/torch": {"peak_mb": 300, "imported_mb": 280}, "mlp-b64/dnnc": {"peak_mb": 4, "predicted_mb": 3.9}},
    "cold": {"mlp-b64/dnnc/no cache": {"first_step_s": 0.3, "peak_mb": 80}, "mlp-b64/jax/jit": {"first_step_s": 0.6, "peak_mb": 280}},
}
texts = tables.render(results, root / "bench/workloads")
print("\n".join(texts.values()))
page = (root / "docs/performance.md").read_text()
print(sum(len(re.findall(re.escape(tables.MARK.format(name)), page)) for name in texts), "places")

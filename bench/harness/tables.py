"""The tables of docs/performance.md, from what run.py has kept. Each stands between two comments that name it."""
import json
import re

MARK = "<!-- bench: {} -->"
END = "<!-- end -->"
NAMES = {"torch/eager": "PyTorch eager", "torch/compiled": "PyTorch compiled", "torch/one-graph": "PyTorch compiled, one graph",
         "jax/jit": "JAX jit", "jax/loop": "JAX, loop in jit", "dnnc/step": "dnnc", "dnnc/no cache": "`dnnc run --no-cache`",
         "dnnc/cache": "`dnnc run`", "dnnc/executable": "executable of `dnnc build`"}


def table(head, rows):
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return "\n".join(lines + ["| " + " | ".join(map(str, row)) + " |" for row in rows])


def microseconds(value):
    return f"{value:,.0f}" if value >= 1000 else f"{value:.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def workloads(folder):
    found = [(p.parent.name, json.loads(p.read_text())) for p in folder.glob("*/workload.json")]
    return sorted(found, key=lambda w: w[1]["order"])


def bound(workload, limits):
    """The least microseconds: arithmetic at the peak, or every byte once at the speed of the level that holds them."""
    bytes_ = workload["bytes"]
    level = next(l for l in limits["levels"] if workload["working_set"] <= l["holds"])
    speed = max(level["read_gb_s"], level["update_gb_s"])
    flop_time = workload["mflop"] * 1e3 / limits["gflop_s"]
    byte_time = bytes_ / speed * 1e-3
    if flop_time >= byte_time:
        return flop_time, f"{limits['gflop_s']:.0f} GFLOP/s"
    return byte_time, f"{speed:.0f} GB/s, {level['name']}"


def step_row(title, peers, ours, wanted, least):
    """`peers` and `ours` are what was measured, None where nothing was; `least` is the bound and its reason."""
    row = [title] + [f"{microseconds(c['min_us'])} ({microseconds(c['median_us'])})" if c else "" for c in [*peers.values(), ours]]
    times = [c["min_us"] for c in peers.values() if c]
    row.append(f"{ours['min_us'] / min(times):.2f}" if ours and times else "")
    row.append(f"≤ {wanted:.2f}" if wanted else "")
    return row + [f"{microseconds(least[0])} ({least[1]})", f"{least[0] / ours['min_us']:.0%}" if ours else ""]


def steps(results, folder):
    """One table a number of threads."""
    text = []
    for threads, limits in sorted(results.get("limits", {}).items()):
        measured = {tuple(key.split("/", 2)): value for key, value in results.get("steps", {}).items()
                    if key.split("/")[1] == threads}
        variants = ["torch/eager", "torch/compiled", "torch/one-graph", "jax/jit", "jax/loop"]
        rows = []
        for name, workload in workloads(folder):
            peers = {v: measured.get((name, threads, v)) for v in variants}
            ways = [("dnnc/step", workload["title"], "target"), ("dnnc/strict", workload["title"] + ", `--strict`", "strict_target")]
            for way, title, target in ways:
                ours = measured.get((name, threads, way))
                if ours or (way == "dnnc/step" and any(peers.values())):
                    rows.append(step_row(title, peers, ours, workload.get(target, {}).get(threads), bound(workload, limits)))
        if not rows:
            continue
        head = ["step, µs: min (median)"] + [NAMES[v] for v in variants] + ["dnnc", "ratio to the best peer", "target", "bound", "of it"]
        text.append(f"{threads} thread{'s' if threads != '1' else ''}:\n\n" + table(head, rows))
    return "\n\n".join(text) or "Not measured yet."


def machine(results):
    versions = {key.split("/")[2]: value["version"] for key, value in results.get("steps", {}).items()}
    text = f"{results['machine']['processor']}, {results['machine']['cpus']} CPUs"
    text += "".join(f"; {name} {versions[key]}" for key, name in
                    (("torch", "PyTorch"), ("jax", "JAX"), ("dnnc", "dnnc")) if key in versions) + ".\n\n"
    rows = []
    for threads, limits in sorted(results.get("limits", {}).items()):
        cells = [f"{l['read_gb_s']:.0f} / {l['update_gb_s']:.0f} / {l['write_gb_s']:.0f} / {l['triad_gb_s']:.0f}"
                 for l in limits["levels"]]
        rows.append([threads, f"{limits['gflop_s']:.0f}"] + cells)
    names = [f"{l['name']}" for l in next(iter(results["limits"].values()))["levels"]] if results.get("limits") else []
    return text + table(["threads", "GFLOP/s"] + [f"GB/s {n}: read / update / write / triad" for n in names], rows)


def cold(results, folder):
    """One table a workload."""
    text = []
    for name, workload in workloads(folder):
        found = {key.split("/", 1)[1]: value for key, value in results.get("cold", {}).items() if key.split("/")[0] == name}
        rows = []
        for variant in ("dnnc/no cache", "dnnc/cache", "dnnc/executable", "jax/jit", "torch/eager", "torch/compiled"):
            if variant in found:
                mine = found[variant]
                rows.append([NAMES[variant], f"{mine['first_step_s']:.3f}"] +
                            [f"{mine['first_step_s'] / found[v]['first_step_s']:.3f}" if v in found else ""
                             for v in ("jax/jit", "torch/compiled")] + [f"{mine['peak_mb']:.0f}"])
        if rows:
            head = [workload["title"], "first step done, s", "÷ JAX jit", "÷ PyTorch compiled", "peak memory, MB"]
            wanted = ", ".join(f"≤ {limit} of {NAMES[peer]}" for peer, limit in workload["cold_target"].items())
            text.append(table(head, rows) + f"\n\nTarget without a cache: {wanted}.")
    return "\n\n".join(text) or "Not measured yet."


def memory(results, folder):
    """Largest resident sets. What PyTorch's import takes is none of its tensors."""
    rows = []
    for name, workload in workloads(folder):
        torch, ours = (results.get("memory", {}).get(f"{name}/{framework}") for framework in ("torch", "dnnc"))
        if torch or ours:
            row = [workload["title"]]
            row += [f"{torch['peak_mb']:.1f}", f"{torch['peak_mb'] - torch['imported_mb']:.1f}"] if torch else ["", ""]
            row += [f"{ours['predicted_mb']:.1f}", f"{ours['peak_mb']:.1f}"] if ours else ["", ""]
            rows.append(row)
    head = ["MB", "PyTorch eager", "of it after the import", "dnnc predicts", "executable of `dnnc build`"]
    return table(head, rows) if rows else "Not measured yet."


def products(results):
    """One row a product, one column a framework and number of threads; dnnc also as part of the peak."""
    found = results.get("products", {})
    if not found:
        return "Not measured yet."
    threads = sorted({key.split("/")[1] for key in found})
    rows = []
    for product in dict.fromkeys(key.split("/")[0] for key in found):
        row = [product]
        for t in threads:
            speeds = {f: found.get(f"{product}/{t}/{f}") for f in ("torch", "jax", "dnnc")}
            row += [f"{s:.0f}" if s else "" for s in speeds.values()]
            row.append(f"{speeds['dnnc'] / results['limits'][t]['gflop_s']:.0%}" if speeds["dnnc"] else "")
        rows.append(row)
    head = ["rows × columns × terms, GFLOP/s"]
    for t in threads:
        head += [f"PyTorch {t}T", f"JAX {t}T", f"dnnc {t}T", f"of the peak {t}T"]
    return table(head, rows)


def mnist(results):
    found = results.get("mnist", {})
    if not found:
        return "Not measured: it needs the files of MNIST, in the folder that DNN_DATA_DIR names."
    rows = [[{"torch": "PyTorch", "dnnc": "`dnnc run --no-cache`"}[k], f"{v['wall_s']:.1f}", f"{v['peak_mb']:.0f}",
             f"{v['accuracy']:.4f}" if v["accuracy"] else ""] for k, v in found.items()]
    text = table(["MNIST, 5 epochs", "whole process, s", "peak memory, MB", "accuracy"], rows)
    if "torch" in found and "dnnc" in found:
        text += f"\n\nRatio of the times: {found['dnnc']['wall_s'] / found['torch']['wall_s']:.3f} (target ≤ 0.25)."
    return text


def render(results, folder):
    """Text by the name of its table."""
    return {"machine": machine(results), "steps": steps(results, folder),
            "products": products(results), "cold": cold(results, folder), "memory": memory(results, folder),
            "mnist": mnist(results)}


def write(page, texts):
    text = page.read_text()
    for name, body in texts.items():
        pattern = re.escape(MARK.format(name)) + ".*?" + re.escape(END)
        text, count = re.subn(pattern, lambda _: MARK.format(name) + "\n" + body + "\n" + END, text, flags=re.S)
        if count != 1:
            raise SystemExit(f"bench: {page} has {count} places for the table `{name}`, not one")
    page.write_text(text)

"""Runs workloads in PyTorch, JAX and dnnc, in turns, each measurement in a process of its own, and keeps what they say in
build/bench/results.json; then writes the tables. `bench/run` sets up what this needs and calls it."""
import argparse
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import time

import tables

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
OUT = ROOT / "build/bench"
VARIANTS = [("torch", "eager"), ("torch", "compiled"), ("torch", "one-graph"), ("jax", "jit"), ("jax", "loop"),
            ("dnnc", "step"), ("dnnc", "strict")]
KINDS = ["steps", "products", "cold", "memory", "mnist"]
PRODUCTS = [(512, 512, 512), (64, 1024, 1024), (32, 256, 784), (128, 512, 784), (2048, 2048, 2048), (128, 10, 784),
            (37, 100, 785)]  # rows, columns, terms of a sum
FORMS = {"A·B": "plain", "Aᵀ·B": "left", "A·Bᵀ": "right"}  # and the models of bench/products
COLD_VARIANTS = [("dnnc", "no cache"), ("jax", "jit"), ("dnnc", "cache"), ("torch", "eager"), ("dnnc", "executable"),
                 ("torch", "compiled")]


def parse_arguments():
    names = sorted(p.parent.name for p in (ROOT / "bench/workloads").glob("*/workload.json"))
    parser = argparse.ArgumentParser(prog="bench/run", description="Measures dnnc beside PyTorch and JAX and writes the "
                                     "tables of docs/performance.md. Results of earlier calls stay in the tables.")
    parser.add_argument("workloads", nargs="*", metavar="WORKLOAD", help="of " + ", ".join(names) + "; default: all")
    parser.add_argument("--threads", help="1, 2 or 1,2; default: 1 and 2")
    parser.add_argument("--only", action="append", choices=KINDS,
                        help="leave the other kinds of measurement out")
    parser.add_argument("--frameworks", help="of torch,jax,dnnc, or single variants, torch/eager; default: all")
    parser.add_argument("--seconds", type=float, default=1.0, help="of measuring in each process (1)")
    parser.add_argument("--rounds", type=int, default=3, help="how often each process is run, in turns (3)")
    parser.add_argument("--quick", action="store_true", help="half a second, one round")
    parser.add_argument("--no-docs", action="store_true", help="print the tables instead of writing docs/performance.md")
    parser.add_argument("--build", default="build/release", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.quick:
        options.seconds, options.rounds = 0.5, 1
    for name in options.workloads:
        if name not in names:
            parser.error(f"there is no workload `{name}`; there are " + ", ".join(names))
    options.workloads = options.workloads or names
    options.threads = [int(t) for t in (options.threads or "1,2").split(",")]
    options.frameworks = (options.frameworks or "torch,jax,dnnc").split(",")
    options.only = options.only or KINDS
    return options


class Results:
    """What has been measured, by kind, workload, threads and variant. Another machine starts anew."""

    def __init__(self, machine):
        self.path = OUT / "results.json"
        self.all = json.loads(self.path.read_text()) if self.path.exists() else {}
        if self.all.get("machine") != machine:
            self.all = {"machine": machine}

    def put(self, kind, key, value):
        self.all.setdefault(kind, {})[key] = value
        self.path.write_text(json.dumps(self.all, indent=1))


def processor():
    text = pathlib.Path("/proc/cpuinfo").read_text()
    name = re.search(r"model name\s*: (.*)", text).group(1)
    family, model = (re.search(rf"^{what}\s*: (\d+)", text, re.M).group(1) for what in ("cpu family", "model"))
    wide = "AVX-512" if " avx512f " in text else "AVX2"
    return {"processor": f"{name} (family {family}, model {model}), {wide}", "cpus": len(os.sched_getaffinity(0))}


def environment(framework, threads):
    """The strongest fair settings of a peer."""
    env = dict(os.environ, BENCH_START=str(time.monotonic()))
    env.update({"OMP_NUM_THREADS": str(threads), "MKL_NUM_THREADS": str(threads),
                # Memory once taken is kept: 32 MiB is the largest threshold that glibc accepts.
                "MALLOC_MMAP_THRESHOLD_": str(32 << 20), "MALLOC_TRIM_THRESHOLD_": str(1 << 30),
                "MALLOC_TOP_PAD_": str(64 << 20), "TF_CPP_MIN_LOG_LEVEL": "3", "TORCH_LOGS": "-all",
                "TORCHINDUCTOR_CACHE_DIR": os.environ.get("TORCHINDUCTOR_CACHE_DIR", str(OUT / "inductor"))})
    if framework == "torch" and "AMD" in processor()["processor"]:
        env["LD_PRELOAD"] = str(OUT / "intel_cpu.so")
    return env


def pinned(threads):
    """JAX takes as many threads as it may use CPUs, and one thread on two CPUs wanders."""
    cpus = sorted(os.sched_getaffinity(0))[:threads]
    return ["taskset", "-c", ",".join(map(str, cpus))]


def run(command, env, cwd=None, text=None):
    done = subprocess.run(command, env=env, cwd=cwd, input=text, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    if done.returncode != 0:
        sys.exit(f"bench: `{' '.join(map(str, command))}` ended with {done.returncode}\n{done.stderr[-3000:]}")
    return done.stdout


def peer(framework, variant, workload, threads, seconds, env=None):
    runner = ROOT / f"bench/harness/{framework}_runner.py"
    command = pinned(threads) + [sys.executable, runner, ROOT / "bench/workloads" / workload, variant, str(threads),
                                 str(seconds)]
    return json.loads(run(command, env or environment(framework, threads)).splitlines()[-1])


class Dnnc:
    def __init__(self, build):
        self.bin = (ROOT / build / "bin").resolve()
        self.version = run([self.bin / "dnnc", "--version"], os.environ).split()[-1]
        self.cache = OUT / "kernels"

    def step(self, workload, threads, variant):
        model = ROOT / "bench/workloads" / workload / "model.dnn"
        command = [self.bin / "dnnc", "time", model, "--json", "--threads", str(threads), "--cache-dir", self.cache]
        report = json.loads(run(pinned(threads) + command + (["--strict"] if variant == "strict" else []), os.environ))
        step = report["step"]
        return {"version": self.version, "min_us": step["min_us"], "median_us": step["median_us"],
                "bound_us": step["bound_us"], "samples": report["steps"]}

    def products(self, threads):
        found = {}
        for m, n, k in PRODUCTS:
            for form, name in FORMS.items():
                text = (ROOT / f"bench/products/{name}.dnn").read_text()
                with tempfile.TemporaryDirectory() as folder:
                    model = pathlib.Path(folder) / "model.dnn"
                    model.write_text(re.sub(r"Product\(m = .*\)", f"Product(m = {m}, n = {n}, k = {k})", text))
                    report = json.loads(run(pinned(threads) + [self.bin / "dnnc", "time", model, "--json", "--threads",
                                                               str(threads), "--cache-dir", self.cache], os.environ))
                found[f"{m}×{n}×{k} {form}"] = max(kernel["gflop_s"] for kernel in report["kernels"])
        return {"version": self.version, "gflop_s": found}

    def launch(self, command, cwd=None):
        with tempfile.NamedTemporaryFile() as file:
            run([self.bin / "launch", file.name, *command], os.environ, cwd)
            report = json.loads(pathlib.Path(file.name).read_text())
        return {"version": self.version, "first_step_s": report["wall_s"], "peak_mb": report["peak_kb"] / 1024}

    def plan(self, workload, threads):
        """What the compiler says that an executable needs."""
        text = run([self.bin / "dnnc", "summary", ROOT / "bench/workloads" / workload / "model.dnn", "--threads", str(threads)],
                   os.environ)
        return {"predicted_mb": int(re.search(r"executable needs about ([0-9,]+)", text).group(1).replace(",", "")) / 2**20}

    def first_step(self, workload, variant, threads):
        """The whole process, from its start to its end, with one step in it."""
        model = ROOT / "bench/workloads" / workload / "model.dnn"
        train = ["train", "--steps", "1", "--quiet"]
        with tempfile.TemporaryDirectory() as folder:
            if variant == "executable":
                run([self.bin / "dnnc", "build", model, "-o", f"{folder}/model"], os.environ)
                return self.launch(pinned(threads) + [f"{folder}/model", *train], folder)
            how = ["--no-cache"] if variant == "no cache" else ["--cache-dir", self.cache]
            command = pinned(threads) + [self.bin / "dnnc", "run", *how, model, *train]
            if variant == "cache":
                run(command, os.environ, folder) # fills the cache
            return self.launch(command, folder)


def fastest(before, now):
    """Limits are maxima: of several measurements of them the larger number counts."""
    if before is None:
        return now
    for old, new in [(before, now)] + list(zip(before["levels"], now["levels"])):
        new.update({key: max(value, old[key]) for key, value in new.items() if isinstance(value, float)})
    return now


def best_of(reports):
    """Minimum of the minima, median of the medians."""
    best = dict(min(reports, key=lambda r: r["min_us"]))
    medians = sorted(r["median_us"] for r in reports)
    best["median_us"] = medians[len(medians) // 2]
    return best


def described(workload):
    return json.loads((ROOT / "bench/workloads" / workload / "workload.json").read_text())


def measure_steps(options, results, dnnc):
    for workload in options.workloads:
        variants = [v for v in VARIANTS if v != ("dnnc", "strict") or "strict_target" in described(workload)]
        for threads in options.threads:
            measure_limits(threads, results, dnnc)
            reports = {}
            for _ in range(options.rounds):
                for framework, variant in variants:
                    if framework in options.frameworks or f"{framework}/{variant}" in options.frameworks:
                        say(f"{workload}, {threads} threads: {framework} {variant}")
                        report = (dnnc.step(workload, threads, variant) if framework == "dnnc" else
                                  peer(framework, variant, workload, threads, options.seconds))
                        reports.setdefault((framework, variant), []).append(report)
            for (framework, variant), found in reports.items():
                results.put("steps", f"{workload}/{threads}/{framework}/{variant}", best_of(found))


def measure_limits(threads, results, dnnc):
    machine = json.loads(run(pinned(threads) + [dnnc.bin / "machine_bench", str(threads)], os.environ))
    results.put("limits", str(threads), fastest(results.all.get("limits", {}).get(str(threads)), machine))


def measure_products(options, results, dnnc):
    for threads in options.threads:
        measure_limits(threads, results, dnnc)
        for framework in options.frameworks:
            say(f"products, {threads} threads: {framework}")
            if framework == "dnnc":
                report = dnnc.products(threads)
            else:
                command = pinned(threads) + [sys.executable, ROOT / "bench/harness/products_runner.py", framework,
                                             str(threads), str(options.seconds / 10)]
                report = json.loads(run(command, environment(framework, threads), text=json.dumps(PRODUCTS)))
            for product, speed in report["gflop_s"].items():
                key = f"{product}/{threads}/{framework}"
                results.put("products", key, speed)


def first_step(workload, framework, variant, threads, dnnc):
    """A process of its own, which finds nothing that an earlier one compiled, if the variant does not say otherwise."""
    if framework == "dnnc":
        return dnnc.first_step(workload, variant, threads)
    env = environment(framework, threads)
    with tempfile.TemporaryDirectory() as folder:
        return peer(framework, variant, workload, threads, 0, dict(env, TORCHINDUCTOR_CACHE_DIR=folder))


def measure_cold(options, results, dnnc):
    """From the start of a process to the end of the first step, with every thread."""
    threads = max(options.threads)
    for workload in (w for w in options.workloads if "cold_target" in described(w)):
        reports = {}
        for round_ in range(options.rounds):
            for framework, variant in COLD_VARIANTS:
                chosen = framework in options.frameworks or f"{framework}/{variant}" in options.frameworks
                if chosen and (round_ == 0 or variant != "compiled"):
                    say(f"{workload}, first step: {framework} {variant}")
                    report = first_step(workload, framework, variant, threads, dnnc)
                    reports.setdefault(f"{framework}/{variant}", []).append(report)
        for variant, found in reports.items():
            best = min(found, key=lambda r: r["first_step_s"])
            best["peak_mb"] = min(r["peak_mb"] for r in found)
            results.put("cold", f"{workload}/{variant}", best)


def measure_memory(options, results, dnnc):
    """The largest resident sets of a process that takes one step, beside what the compiler predicts and what an import takes."""
    threads = max(options.threads)
    for workload in options.workloads:
        for framework, variant in (("torch", "eager"), ("dnnc", "executable")):
            if framework in options.frameworks:
                say(f"{workload}, memory: {framework} {variant}")
                report = first_step(workload, framework, variant, threads, dnnc)
                if framework == "dnnc":
                    report.update(dnnc.plan(workload, threads))
                results.put("memory", f"{workload}/{framework}", report)


def measure_mnist(options, results, dnnc):
    data = pathlib.Path(os.environ.get("DNN_DATA_DIR", "")) / "mnist"
    files = [data / name for name in ("train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz",
                                      "t10k-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz")]
    if not all(f.exists() for f in files):
        say("mnist: skipped; DNN_DATA_DIR must name a folder with mnist/train-images-idx3-ubyte.gz and its companions")
        return
    threads = max(options.threads)
    for framework in options.frameworks:
        if framework == "jax":
            continue
        say(f"mnist, 5 epochs: {framework}")
        with tempfile.TemporaryDirectory() as folder:
            for file in files:
                (pathlib.Path(folder) / file.name).symlink_to(file.resolve())
            shutil.copy(ROOT / "examples/mnist/mnist.dnn", folder)
            command = [dnnc.bin / "dnnc", "run", "--no-cache", "mnist.dnn"]
            if framework == "torch":
                command = [sys.executable, ROOT / "examples/mnist/mnist_pytorch.py"]
            report = OUT / "mnist.json"
            env = environment(framework, threads) if framework == "torch" else os.environ
            text = run([dnnc.bin / "launch", report, *pinned(threads), *command], env, folder)
            accuracy = re.findall(r"acc\w*[ =:]+([0-9.]+)", text)
            found = json.loads(report.read_text())
            results.put("mnist", framework, {"wall_s": found["wall_s"], "peak_mb": found["peak_kb"] / 1024,
                                             "accuracy": float(accuracy[-1]) if accuracy else None})


def say(text):
    print(f"bench: {text}", file=sys.stderr, flush=True)


def main():
    options = parse_arguments()
    OUT.mkdir(parents=True, exist_ok=True)
    results = Results(processor())
    dnnc = Dnnc(options.build)
    if "steps" in options.only:
        measure_steps(options, results, dnnc)
    if "products" in options.only:
        measure_products(options, results, dnnc)
    if "cold" in options.only:
        measure_cold(options, results, dnnc)
    if "memory" in options.only:
        measure_memory(options, results, dnnc)
    if "mnist" in options.only:
        measure_mnist(options, results, dnnc)
    text = tables.render(results.all, ROOT / "bench/workloads")
    if options.no_docs:
        for body in text.values():
            print(body)
    else:
        tables.write(ROOT / "docs/performance.md", text)


main()

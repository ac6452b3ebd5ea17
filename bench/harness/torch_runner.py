"""torch_runner.py WORKLOAD_DIR VARIANT THREADS SECONDS: one workload in PyTorch, with gradients where its loss has some.
Variants: eager; compiled (model and loss compiled, fused optimizer); one-graph (gradient and update compiled as one
function). SECONDS 0: only the first step."""
import pathlib
import runpy
import sys

import torch

from measure import measure, peak_megabytes, report, since_start

folder, variant, threads, seconds = sys.argv[1], sys.argv[2], int(sys.argv[3]), float(sys.argv[4])
torch.set_num_threads(threads)
imported = peak_megabytes()
workload = runpy.run_path(str(pathlib.Path(folder) / "torch_step.py"))


def make_step():
    if variant == "one-graph":
        function, arguments = workload["one_graph"](torch)
        compiled = torch.compile(function, fullgraph=True)

        def step():
            with torch.no_grad():
                return compiled(*arguments)

        return step
    net, forward, optimizer = workload["make"](torch)
    if variant == "compiled":
        forward = torch.compile(forward)

    def step():
        net.zero_grad(set_to_none=True)
        loss = forward()
        if loss.requires_grad:
            loss.backward()
        if optimizer:
            optimizer.step()
        return loss

    return step


step = make_step()
step()
first = since_start()
report(torch.__version__, imported, first, measure(step, seconds) if seconds > 0 else None)

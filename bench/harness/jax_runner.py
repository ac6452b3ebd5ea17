"""jax_runner.py WORKLOAD_DIR VARIANT THREADS SECONDS: one workload in JAX; its threads are the CPUs that it may run on.
Variants: jit (one step a call, state donated), loop (many steps inside one jit). SECONDS 0: only the first step."""
import functools
import pathlib
import runpy
import sys
import time

import jax
import jax.numpy as jnp

from measure import measure, peak_megabytes, report, since_start

folder, variant, seconds = sys.argv[1], sys.argv[2], float(sys.argv[4])
imported = peak_megabytes()
step, state, data = runpy.run_path(str(pathlib.Path(folder) / "jax_step.py"))["make"](jax, jnp)
LOOP_SECONDS = 0.05  # of one call of the variant loop

one = jax.jit(step, donate_argnums=0)
state, loss = jax.block_until_ready(one(state, data))
first = since_start()
steps = 1
call = one
if seconds > 0 and variant == "loop":
    start = time.perf_counter()
    for _ in range(5):
        state, loss = one(state, data)
    jax.block_until_ready(state)
    steps = max(2, round(LOOP_SECONDS * 5 / (time.perf_counter() - start)))

    @functools.partial(jax.jit, donate_argnums=0)
    def call(state, data):
        return jax.lax.fori_loop(0, steps, lambda _, s: step(s, data)[0], state), None


def advance():
    global state
    state, _ = call(state, data)
    return state


report(jax.__version__, imported, first, measure(advance, seconds, jax.block_until_ready, steps) if seconds > 0 else None)

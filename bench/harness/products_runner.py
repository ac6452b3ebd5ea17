"""products_runner.py FRAMEWORK THREADS SECONDS: GFLOP/s of products of matrices, as JSON {"512×512×512 A·B": number}."""
import json
import sys

from measure import measure

framework, threads, seconds = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
shapes = json.loads(sys.stdin.read())
result = {}

if framework == "torch":
    import torch

    torch.set_num_threads(threads)
    version = torch.__version__
else:
    import jax

    version = jax.__version__


def torch_products(m, n, k):
    a, at, b, bt = (torch.rand(s) for s in ((m, k), (k, m), (k, n), (n, k)))
    c = torch.empty(m, n)
    return {"A·B": lambda: torch.mm(a, b, out=c), "Aᵀ·B": lambda: torch.mm(at.t(), b, out=c),
            "A·Bᵀ": lambda: torch.mm(a, bt.t(), out=c)}, lambda result: None


def jax_products(m, n, k):
    keys = jax.random.split(jax.random.key(1), 4)
    a, at, b, bt = (jax.random.uniform(key, s) for key, s in zip(keys, ((m, k), (k, m), (k, n), (n, k))))
    plain, left, right = jax.jit(lambda a, b: a @ b), jax.jit(lambda a, b: a.T @ b), jax.jit(lambda a, b: a @ b.T)
    return {"A·B": lambda: plain(a, b), "Aᵀ·B": lambda: left(at, b), "A·Bᵀ": lambda: right(a, bt)}, jax.block_until_ready


for m, n, k in shapes:
    products, wait = torch_products(m, n, k) if framework == "torch" else jax_products(m, n, k)
    for form, product in products.items():
        least, _, _ = measure(product, seconds, wait)
        result[f"{m}×{n}×{k} {form}"] = 2e-3 * m * n * k / least
print(json.dumps({"version": version, "gflop_s": result}))

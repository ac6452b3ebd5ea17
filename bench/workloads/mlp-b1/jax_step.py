"""The network of mlp-b64, one example a step."""
import functools
import pathlib
import runpy

network = runpy.run_path(str(pathlib.Path(__file__).parents[1] / "mlp-b64" / "jax_step.py"))
make = functools.partial(network["make"], batch=1)

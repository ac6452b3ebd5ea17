"""Cross-entropy of [1024, 50257] scores with the gradient of the scores, which takes the place of the scores."""
import numpy



def make(jax, jnp):
    z = jnp.asarray(numpy.random.default_rng(1).standard_normal((1024, 50257), numpy.float32))
    y = jnp.asarray(numpy.arange(1024, dtype="i4") * 49)

    def loss(z, y):
        picked = jnp.take_along_axis(z, y[:, None], axis=1)[:, 0]
        return jnp.mean(jax.nn.logsumexp(z, axis=1) - picked)

    def step(z, y):
        value, gradient = jax.value_and_grad(loss)(z, y)
        return gradient, value

    return step, z, y

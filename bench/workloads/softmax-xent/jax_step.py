"""Cross-entropy of [1024, 50257] scores with the gradient of the scores, which takes the place of the scores."""


def make(jax, jnp):
    z = jax.random.normal(jax.random.key(1), (1024, 50257))
    y = jnp.arange(1024) * 49

    def loss(z, y):
        picked = jnp.take_along_axis(z, y[:, None], axis=1)[:, 0]
        return jnp.mean(jax.nn.logsumexp(z, axis=1) - picked)

    def step(z, y):
        value, gradient = jax.value_and_grad(loss)(z, y)
        return gradient, value

    return step, z, y

"""784-128-10, ReLU, softmax cross-entropy, SGD."""
BATCH = 64


def make(jax, jnp):
    keys = jax.random.split(jax.random.key(1), 4)
    x = jax.random.uniform(keys[0], (BATCH, 784))
    y = jax.random.randint(keys[1], (BATCH,), 0, 10)
    params = [jax.random.normal(keys[2], (784, 128)) / 28, jnp.zeros(128),
              jax.random.normal(keys[3], (128, 10)) / 11, jnp.zeros(10)]

    def loss(params, x, y):
        w1, b1, w2, b2 = params
        scores = jax.nn.relu(x @ w1 + b1) @ w2 + b2
        picked = jnp.take_along_axis(scores, y[:, None], axis=1)[:, 0]
        return jnp.mean(jax.nn.logsumexp(scores, axis=1) - picked)

    def step(params, data):
        value, grads = jax.value_and_grad(loss)(params, *data)
        return [p - 0.01 * g for p, g in zip(params, grads)], value

    return step, params, (x, y)

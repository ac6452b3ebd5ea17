"""784-512-512-10, ReLU, softmax cross-entropy, Adam, batch 128."""
BATCH = 128


def make(jax, jnp):
    keys = jax.random.split(jax.random.key(1), 5)
    x = jax.random.uniform(keys[0], (BATCH, 784))
    y = jax.random.randint(keys[1], (BATCH,), 0, 10)
    params = []
    for key, inner, out in zip(keys[2:], (784, 512, 512), (512, 512, 10)):
        params += [jax.random.normal(key, (inner, out)) * inner**-0.5, jnp.zeros(out)]
    zeros = [jnp.zeros_like(p) for p in params]
    state = (params, zeros, [jnp.zeros_like(p) for p in params], jnp.zeros((), jnp.int32))

    def loss(params, x, y):
        w1, b1, w2, b2, w3, b3 = params
        scores = jax.nn.relu(jax.nn.relu(x @ w1 + b1) @ w2 + b2) @ w3 + b3
        picked = jnp.take_along_axis(scores, y[:, None], axis=1)[:, 0]
        return jnp.mean(jax.nn.logsumexp(scores, axis=1) - picked)

    def step(state, data):
        params, means, squares, t = state
        value, grads = jax.value_and_grad(loss)(params, *data)
        t = t + 1
        means = [0.9 * m + 0.1 * g for m, g in zip(means, grads)]
        squares = [0.999 * v + 0.001 * g * g for v, g in zip(squares, grads)]
        scale1, scale2 = 1 - 0.9**t, 1 - 0.999**t
        params = [p - 1e-3 * (m / scale1) / (jnp.sqrt(v / scale2) + 1e-8) for p, m, v in zip(params, means, squares)]
        return (params, means, squares, t), value

    return step, state, (x, y)

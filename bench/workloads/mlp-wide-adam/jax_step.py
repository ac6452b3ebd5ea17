"""784-512-512-10, ReLU, softmax cross-entropy, Adam, batch 128."""
import numpy

BATCH = 128


def make(jax, jnp):
    random = numpy.random.default_rng(1)  # jax.random would compile a function for each shape before the first step
    x = jnp.asarray(random.random((BATCH, 784), numpy.float32))
    y = jnp.asarray(random.integers(0, 10, BATCH, numpy.int32))
    params = []
    for inner, out in ((784, 512), (512, 512), (512, 10)):
        weights = random.standard_normal((inner, out), numpy.float32) * inner**-0.5
        params += [jnp.asarray(weights.astype("f4")), jnp.asarray(numpy.zeros(out, "f4"))]
    means, squares = ([jnp.asarray(numpy.zeros(p.shape, "f4")) for p in params] for _ in range(2))
    state = (params, means, squares, jnp.asarray(numpy.int32(0)))

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

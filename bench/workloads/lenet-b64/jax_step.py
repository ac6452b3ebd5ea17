"""LeNet-5 with 6 and 16 channels, softmax cross-entropy, SGD with momentum."""
import numpy


def make(jax, jnp, batch=64):
    random = numpy.random.default_rng(1)
    x = jnp.asarray(random.random((batch, 28, 28, 1), numpy.float32))
    y = jnp.asarray(random.integers(0, 10, batch, numpy.int32))
    shapes = [(5, 5, 1, 6), (6,), (5, 5, 6, 16), (16,), (400, 120), (120,), (120, 84), (84,), (84, 10), (10,)]
    params = [jnp.asarray(random.standard_normal(shape, numpy.float32) / 10) for shape in shapes]
    moments = [jnp.asarray(numpy.zeros(shape, "f4")) for shape in shapes]

    def conv(x, w, pad):
        return jax.lax.conv_general_dilated(x, w, (1, 1), [(pad, pad)] * 2, dimension_numbers=("NHWC", "HWIO", "NHWC"))

    def pool(x):
        return jax.lax.reduce_window(x, -numpy.inf, jax.lax.max, (1, 2, 2, 1), (1, 2, 2, 1), "VALID")

    def loss(params, x, y):
        w1, b1, w2, b2, w3, b3, w4, b4, w5, b5 = params
        h = pool(jax.nn.relu(conv(x, w1, 2) + b1))
        h = pool(jax.nn.relu(conv(h, w2, 0) + b2)).reshape(batch, -1)
        h = jax.nn.relu(jax.nn.relu(h @ w3 + b3) @ w4 + b4)
        scores = h @ w5 + b5
        picked = jnp.take_along_axis(scores, y[:, None], axis=1)[:, 0]
        return jnp.mean(jax.nn.logsumexp(scores, axis=1) - picked)

    def step(state, data):
        params, moments = state
        value, grads = jax.value_and_grad(loss)(params, *data)
        moments = [0.9 * m + g for m, g in zip(moments, grads)]
        return ([p - 0.01 * m for p, m in zip(params, moments)], moments), value

    return step, (params, moments), (x, y)

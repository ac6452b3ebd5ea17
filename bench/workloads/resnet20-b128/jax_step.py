"""ResNet-20 with batch norm, images of CIFAR's shape, softmax cross-entropy, SGD with momentum."""
import numpy


def make(jax, jnp, batch=128):
    random = numpy.random.default_rng(1)
    x = jnp.asarray(random.random((batch, 32, 32, 3), numpy.float32))
    y = jnp.asarray(random.integers(0, 10, batch, numpy.int32))
    blocks = [(16, 16, 1)] * 3 + [(16, 32, 2)] + [(32, 32, 1)] * 2 + [(32, 64, 2)] + [(64, 64, 1)] * 2
    params, running = [], []

    def conv_of(channels, width, size):
        weight = random.standard_normal((size, size, channels, width), numpy.float32) / (channels * size * size) ** 0.5
        params.extend([jnp.asarray(weight, "f4"), jnp.ones(width), jnp.zeros(width)])
        running.extend([jnp.zeros(width), jnp.ones(width)])

    conv_of(3, 16, 3)
    for channels, width, _ in blocks:
        conv_of(channels, width, 3)
        conv_of(width, width, 3)
        if channels != width:
            conv_of(channels, width, 1)
    params.extend([jnp.asarray(random.standard_normal((64, 10), numpy.float32) / 8), jnp.zeros(10)])
    moments = [jnp.zeros_like(p) for p in params]

    def loss(params, running, x, y):
        params, states, moved = iter(params), iter(running), []

        def unit(x, stride=1):
            h = jax.lax.conv_general_dilated(x, next(params), (stride, stride), "SAME",
                                             dimension_numbers=("NHWC", "HWIO", "NHWC"))
            mean, var = h.mean((0, 1, 2)), h.var((0, 1, 2))
            moved.extend([0.9 * next(states) + 0.1 * mean, 0.9 * next(states) + 0.1 * var])
            return (h - mean) * jax.lax.rsqrt(var + 1e-5) * next(params) + next(params)

        h = jax.nn.relu(unit(x))
        for channels, width, stride in blocks:
            body = unit(jax.nn.relu(unit(h, stride)))
            h = jax.nn.relu(body + (h if channels == width else unit(h, stride)))
        scores = h.mean((1, 2)) @ next(params) + next(params)
        picked = jnp.take_along_axis(scores, y[:, None], axis=1)[:, 0]
        return jnp.mean(jax.nn.logsumexp(scores, axis=1) - picked), moved

    def step(state, data):
        params, moments, running = state
        (value, running), grads = jax.value_and_grad(loss, has_aux=True)(params, running, *data)
        moments = [0.9 * m + g for m, g in zip(moments, grads)]
        return ([p - 0.01 * m for p, m in zip(params, moments)], moments, running), value

    return step, (params, moments, running), (x, y)

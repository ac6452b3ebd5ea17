"""ResNet-50 with batch norm, images of 224×224, softmax cross-entropy, SGD with momentum."""
import numpy


def make(jax, jnp, batch=8):
    random = numpy.random.default_rng(1)
    x = jnp.asarray(random.random((batch, 224, 224, 3), numpy.float32))
    y = jnp.asarray(random.integers(0, 1000, batch, numpy.int32))
    blocks, channels, params, running = [], 64, [], []
    for stage, (width, count) in enumerate(((64, 3), (128, 4), (256, 6), (512, 3))):
        for block in range(count):
            blocks.append((channels, width, 2 if stage > 0 and block == 0 else 1))
            channels = 4 * width

    def conv_of(channels, width, size):
        weight = random.standard_normal((size, size, channels, width), numpy.float32) / (channels * size * size) ** 0.5
        params.extend([jnp.asarray(weight, "f4"), jnp.ones(width), jnp.zeros(width)])
        running.extend([jnp.zeros(width), jnp.ones(width)])

    conv_of(3, 64, 7)
    for channels, width, _ in blocks:
        conv_of(channels, width, 1)
        conv_of(width, width, 3)
        conv_of(width, 4 * width, 1)
        if channels != 4 * width:
            conv_of(channels, 4 * width, 1)
    params.extend([jnp.asarray(random.standard_normal((2048, 1000), numpy.float32) / 2048**0.5), jnp.zeros(1000)])
    moments = [jnp.zeros_like(p) for p in params]

    def loss(params, running, x, y):
        params, states, moved = iter(params), iter(running), []

        def unit(x, stride=1):
            weight = next(params)
            pad = (weight.shape[0] // 2, weight.shape[0] // 2)
            h = jax.lax.conv_general_dilated(x, weight, (stride, stride), (pad, pad),
                                             dimension_numbers=("NHWC", "HWIO", "NHWC"))
            mean, var = h.mean((0, 1, 2)), h.var((0, 1, 2))
            moved.extend([0.9 * next(states) + 0.1 * mean, 0.9 * next(states) + 0.1 * var])
            return (h - mean) * jax.lax.rsqrt(var + 1e-5) * next(params) + next(params)

        h = jax.lax.reduce_window(jax.nn.relu(unit(x, 2)), -jnp.inf, jax.lax.max, (1, 3, 3, 1), (1, 2, 2, 1),
                                  ((0, 0), (1, 1), (1, 1), (0, 0)))
        for channels, width, stride in blocks:
            body = unit(jax.nn.relu(unit(jax.nn.relu(unit(h)), stride)))
            h = jax.nn.relu(body + (h if channels == 4 * width else unit(h, stride)))
        scores = h.mean((1, 2)) @ next(params) + next(params)
        picked = jnp.take_along_axis(scores, y[:, None], axis=1)[:, 0]
        return jnp.mean(jax.nn.logsumexp(scores, axis=1) - picked), moved

    def step(state, data):
        params, moments, running = state
        (value, running), grads = jax.value_and_grad(loss, has_aux=True)(params, running, *data)
        moments = [0.9 * m + g for m, g in zip(moments, grads)]
        return ([p - 0.01 * m for p, m in zip(params, moments)], moments, running), value

    return step, (params, moments, running), (x, y)

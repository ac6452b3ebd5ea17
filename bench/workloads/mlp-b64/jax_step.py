"""784-128-10, ReLU, softmax cross-entropy, SGD."""
import numpy


def make(jax, jnp, batch=64):
    random = numpy.random.default_rng(1)  # jax.random would compile a function for each shape before the first step
    x = jnp.asarray(random.random((batch, 784), numpy.float32))
    y = jnp.asarray(random.integers(0, 10, batch, numpy.int32))
    params = [jnp.asarray(p) for p in (random.standard_normal((784, 128), numpy.float32) / 28, numpy.zeros(128, "f4"),
                                       random.standard_normal((128, 10), numpy.float32) / 11, numpy.zeros(10, "f4"))]

    def loss(params, x, y):
        w1, b1, w2, b2 = params
        scores = jax.nn.relu(x @ w1 + b1) @ w2 + b2
        picked = jnp.take_along_axis(scores, y[:, None], axis=1)[:, 0]
        return jnp.mean(jax.nn.logsumexp(scores, axis=1) - picked)

    def step(params, data):
        value, grads = jax.value_and_grad(loss)(params, *data)
        return [p - 0.01 * g for p, g in zip(params, grads)], value

    return step, params, (x, y)

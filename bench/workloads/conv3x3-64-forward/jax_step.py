"""A 3×3 convolution of 64 channels with bias and ReLU, forward only."""
import numpy


def make(jax, jnp):
    random = numpy.random.default_rng(1)
    images = jnp.asarray(random.standard_normal((32, 32, 32, 64), numpy.float32))
    weight = jnp.asarray(random.standard_normal((3, 3, 64, 64), numpy.float32) / 24)

    def step(last, given):
        images, weight, bias = given
        # What the step before made takes part, with a factor that only we know to be 0: a loop may not compute this once.
        weight = weight + bias[0] * last[0, 0, 0, 0]
        y = jax.lax.conv_general_dilated(images, weight, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"))
        return jax.nn.relu(y + bias), jnp.float32(0)

    return step, jnp.zeros((32, 32, 32, 64)), (images, weight, jnp.zeros(64))

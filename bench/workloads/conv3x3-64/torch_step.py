"""A 3×3 convolution of 64 channels with bias and ReLU: forward, and the gradients of images, weights and bias."""


def data(torch):
    torch.manual_seed(1)
    images, gradient = (torch.randn(32, 64, 32, 32).contiguous(memory_format=torch.channels_last) for _ in range(2))
    return images, gradient


def given(torch):
    """A loss whose gradient is there already."""

    class Given(torch.autograd.Function):
        @staticmethod
        def forward(ctx, y, gradient):
            ctx.save_for_backward(gradient)
            return y.new_zeros(())

        @staticmethod
        def backward(ctx, _):
            return ctx.saved_tensors[0], None

    return Given.apply


def make(torch):
    images, gradient = data(torch)
    images = torch.nn.Parameter(images)
    net = torch.nn.Conv2d(64, 64, 3, padding=1).to(memory_format=torch.channels_last)
    net.register_parameter("images", images)
    loss = given(torch)
    return net, lambda: loss(torch.relu(net(images)), gradient), torch.optim.SGD(net.parameters(), lr=0.01, fused=True)


def one_graph(torch):
    """Gradient and update as one function of tensors, for torch.compile."""
    images, gradient = data(torch)
    weight = (torch.randn(64, 64, 3, 3) / 24).contiguous(memory_format=torch.channels_last)
    loss = given(torch)

    def value(images, weight, bias):
        return loss(torch.relu(torch.nn.functional.conv2d(images, weight, bias, padding=1)), gradient)

    def step(*params):
        grads, result = torch.func.grad_and_value(value, argnums=(0, 1, 2))(*params)
        for p, g in zip(params, grads):
            p.sub_(g, alpha=0.01)
        return result

    return step, [images, weight, torch.zeros(64)]

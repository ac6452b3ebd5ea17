"""784-128-10, ReLU, softmax cross-entropy, SGD."""


def make(torch, batch=64):
    torch.manual_seed(1)
    x, y = torch.rand(batch, 784), torch.randint(0, 10, (batch,))
    net = torch.nn.Sequential(torch.nn.Linear(784, 128), torch.nn.ReLU(), torch.nn.Linear(128, 10))
    loss = torch.nn.functional.cross_entropy
    return net, lambda: loss(net(x), y), torch.optim.SGD(net.parameters(), lr=0.01, fused=True)


def one_graph(torch, batch=64):
    """Gradient and update as one function of tensors, for torch.compile."""
    torch.manual_seed(1)
    x, y = torch.rand(batch, 784), torch.randint(0, 10, (batch,))
    params = [torch.randn(128, 784) / 28, torch.zeros(128), torch.randn(10, 128) / 11, torch.zeros(10)]
    linear = torch.nn.functional.linear

    def loss(w1, b1, w2, b2):
        return torch.nn.functional.cross_entropy(linear(torch.relu(linear(x, w1, b1)), w2, b2), y)

    def step(*params):
        grads, value = torch.func.grad_and_value(loss, argnums=(0, 1, 2, 3))(*params)
        for p, g in zip(params, grads):
            p.sub_(g, alpha=0.01)
        return value

    return step, params

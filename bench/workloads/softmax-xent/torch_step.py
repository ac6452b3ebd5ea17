"""Cross-entropy of [1024, 50257] scores with the gradient of the scores."""


def make(torch):
    torch.manual_seed(1)
    z = torch.nn.Parameter(torch.randn(1024, 50257))
    y = torch.arange(1024) * 49
    net = torch.nn.ParameterList([z])
    return net, lambda: torch.nn.functional.cross_entropy(z, y), None


def one_graph(torch):
    torch.manual_seed(1)
    z, y = torch.randn(1024, 50257), torch.arange(1024) * 49

    def step(z):
        return torch.func.grad(lambda z: torch.nn.functional.cross_entropy(z, y))(z)

    return step, [z]

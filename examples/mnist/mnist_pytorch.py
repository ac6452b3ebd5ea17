# The same training as mnist.dnn with PyTorch, for the comparison in the project's README.
import gzip
import struct

import torch
from torch import nn


def read_idx(path):
    with gzip.open(path) as f:
        data = f.read()
    dims = struct.unpack(f">{data[3]}I", data[4 : 4 + 4 * data[3]])
    return torch.frombuffer(bytearray(data[4 + 4 * data[3] :]), dtype=torch.uint8).reshape(dims)


class MLP(nn.Module):
    def __init__(self, hidden, classes):
        super().__init__()
        self.fc1 = nn.Linear(784, hidden)
        self.fc2 = nn.Linear(hidden, hidden)
        self.out = nn.Linear(hidden, classes)
        self.drop = nn.Dropout(0.2)
        for layer in (self.fc1, self.fc2, self.out):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            nn.init.zeros_(layer.bias)

    def forward(self, x):
        return self.out(self.drop(torch.relu(self.fc2(torch.relu(self.fc1(x))))))


def batches(images, labels, size, shuffle=False):
    order = torch.randperm(len(images)) if shuffle else torch.arange(len(images))
    for i in range(0, len(images), size):
        k = order[i : i + size]
        yield images[k].flatten(1).float() / 255, labels[k].long()


torch.manual_seed(42)
train = read_idx("train-images-idx3-ubyte.gz"), read_idx("train-labels-idx1-ubyte.gz")
test = read_idx("t10k-images-idx3-ubyte.gz"), read_idx("t10k-labels-idx1-ubyte.gz")
net = MLP(256, 10)
optimizer = torch.optim.Adam(net.parameters(), lr=1e-3)
best_loss, best_acc, patience = float("inf"), 0.0, 3

for epoch in range(5):
    net.train()
    for x, y in batches(*train, 64, shuffle=True):
        loss = nn.functional.cross_entropy(net(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    net.eval()
    total, hits = 0.0, 0
    with torch.no_grad():
        for x, y in batches(*test, 256):
            s = net(x)
            total += nn.functional.cross_entropy(s, y, reduction="sum").item()
            hits += (s.argmax(1) == y).sum().item()
    test_loss, acc = total / len(test[0]), hits / len(test[0])
    print(f"epoch {epoch + 1}: loss {test_loss:.4f} acc {acc:.4f}")
    torch.save({"net": net.state_dict(), "optimizer": optimizer.state_dict(), "epoch": epoch}, "mnist.ckpt")
    if acc > best_acc:
        best_acc = acc
        torch.save(net.state_dict(), "mnist.ckpt.best")
    if test_loss < best_loss:
        best_loss, patience = test_loss, 3
    else:
        patience -= 1
        if patience == 0:
            break

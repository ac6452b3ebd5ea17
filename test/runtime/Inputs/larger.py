"""larger.py KIND SIZE: makes data of about SIZE MB, as a table, lines, a text, CIFAR records, an array or images."""
import os
import random
import struct
import sys
import zlib

kind, size = sys.argv[1], int(float(sys.argv[2]) * 2**20)
random.seed(5)
words = ["".join(random.choice("abcdefgh") for _ in range(random.randint(1, 7))) for _ in range(60)]


def png(path, seed):
    rows = b"".join(b"\0" + bytes((seed * 7 + y * 3 + x) % 256 for x in range(24)) for y in range(8))
    part = lambda name, data: struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
    head = struct.pack(">IIBBBBB", 8, 8, 8, 2, 0, 0, 0)
    with open(path, "wb") as f:
        f.write(b"\x89PNG\r\n\x1a\n" + part(b"IHDR", head) + part(b"IDAT", zlib.compress(rows)) + part(b"IEND", b""))


if kind == "csv":  # CRLF and LF, quotes over line ends, missing cells, no line end behind the last record
    head = b"\xef\xbb\xbfa,b,c,\"other, \"\"name\"\"\n\",name,text,y\r\n"
    block = b""
    for i in range(500):
        name = random.choice(["red", '"dark, blue"', '"""x"""', "NA"])
        text = '"' + "\n".join(random.choice(words) for _ in range(random.randint(1, 5))) + '"'
        a = "" if i % 7 == 0 else f"{random.uniform(-2, 2):.5f}"
        end = "\r\n" if i % 3 else "\n"
        block += f"{a},{random.uniform(-1, 1):.3f},{i % 11}e-1,,{name},{text},{i % 2}{end}".encode()
    with open("larger.csv", "wb") as f:
        f.write(head)
        for _ in range(max(size // len(block), 1)):
            f.write(block)
        f.write(b"1,1,1,,red,one,1")
elif kind == "text":
    lines = [" ".join(random.choice(words + ["ä", "語"]) for _ in range(random.randint(1, 9))) for _ in range(500)]
    block = "\r\n".join(lines[:250] + ["\n".join(lines[250:])]).encode()
    with open("larger.txt", "wb") as f:
        for i in range(max(size // len(block), 1)):
            f.write(b"\n" + block if i else block)
elif kind == "cifar":
    block = b"".join(bytes([i % 10]) + random.randbytes(3072) for i in range(64))
    for part in range(2):
        with open(f"larger_{part}.bin", "wb") as f:
            for _ in range(max(size // 2 // len(block), 1)):
                f.write(block)
elif kind == "images":
    for name in ("cat", "dog"):
        os.makedirs(f"larger/{name}", exist_ok=True)
        for i in range(40):
            png(f"larger/{name}/{i:02}.png", i if name == "cat" else -i)
elif kind == "wide":
    block = b"".join(",".join(f"{(i * 40 + k) % 997}.{k:02}" for k in range(120)).encode() + b"\n" for i in range(500))
    with open("wide.csv", "wb") as f:
        f.write(",".join(f"c{k}" for k in range(120)).encode() + b"\n")
        for _ in range(max(size // len(block), 1)):
            f.write(block)

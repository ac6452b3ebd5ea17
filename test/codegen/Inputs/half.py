"""half.py write DIR: inputs.npy, f32 around every value of bf16 and f16. half.py check KIND IN OUT: OUT is IN as rounded
to KIND (bf16 in float32, f16 in float16), bit by bit, and what is read back is what was stored."""
import math, struct, sys

def write(path, descr, values, fmt):
    head = ("{'descr': '%s', 'fortran_order': False, 'shape': (%d,), }" % (descr, len(values))).encode()
    head += b" " * (63 - (10 + len(head)) % 64) + b"\n"
    with open(path, "wb") as f:
        f.write(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(head)) + head + struct.pack("<%d%s" % (len(values), fmt), *values))

def read(path):
    data = open(path, "rb").read()
    (size,) = struct.unpack_from("<H", data, 8)
    head = eval(data[10:10 + size])
    body = data[10 + size:]
    fmt = {"<f4": "I", "<f2": "H"}[head["descr"]]  # the bits
    return head["descr"], struct.unpack("<%d%s" % (len(body) // struct.calcsize(fmt), fmt), body)

def bits(value):
    return struct.unpack("<I", struct.pack("<f", value))[0]

def number(b):
    return struct.unpack("<f", struct.pack("<I", b))[0]

def to_bf16(b):
    """The bits of an f32 as the bits of the bf16, with integers of any size: the nearest, halves to the even one."""
    low, half = b & 0xFFFF, 0x8000
    up = low > half or (low == half and b >> 16 & 1)
    return (b >> 16) + (1 if up else 0)

def to_f16(b):
    try:
        return struct.unpack("<H", struct.pack("<e", number(b)))[0]
    except OverflowError:
        return 0xFC00 if b >> 31 else 0x7C00

if sys.argv[1] == "write":
    around = set()
    for sign in (0, 0x8000):
        for pattern in range(0x7F80):  # every finite bf16, the half behind it, and what is beside that
            b = (sign | pattern) << 16
            around.update((b, b + 0x7FFF, b + 0x8000, b + 0x8001))
        for pattern in range(0x7C00):
            (v,) = struct.unpack("<e", struct.pack("<H", sign | pattern))
            (w,) = struct.unpack("<e", struct.pack("<H", sign | pattern + 1)) if pattern < 0x7BFF else (math.copysign(65536.0, v),)
            b = bits((v + w) / 2)
            around.update((bits(v), b - 1, b, b + 1))
    values = sorted(b for b in around if b & 0x7F800000 != 0x7F800000)
    write(sys.argv[2], "<f4", values, "I")
else:
    kind, (_, given), (descr, got) = sys.argv[2], read(sys.argv[3]), read(sys.argv[4])
    assert descr == {"bf16": "<f4", "f16": "<f2"}[kind] and len(got) == len(given), descr
    wrong = 0
    for b, g in zip(given, got):
        wanted = to_bf16(b) << 16 if kind == "bf16" else to_f16(b)
        if g != wanted:
            wrong += 1
            if wrong < 5:
                print("%.9g is 0x%x instead of 0x%x" % (number(b), g, wanted))
    print("%d values, %d wrong" % (len(got), wrong))

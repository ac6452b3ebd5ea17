"""`write FILE`: three points as f4[3, 2]. `read FILE`: prints type, shape and the i4 values. Without numpy."""

import ast
import struct
import sys

if sys.argv[1] == "write":
    header = "{'descr': '<f4', 'fortran_order': False, 'shape': (3, 2), }".ljust(117) + "\n"
    values = struct.pack("<6f", 0, 0, 5, 5, -5, 5)
    open(sys.argv[2], "wb").write(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode() + values)
else:
    data = open(sys.argv[2], "rb").read()
    (length,) = struct.unpack_from("<H", data, 8)
    header = ast.literal_eval(data[10 : 10 + length].decode())
    print(header["descr"], header["shape"], *struct.unpack(f"<{(len(data) - 10 - length) // 4}i", data[10 + length :]))

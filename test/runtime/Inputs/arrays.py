"""Writes .npy and .npz files without NumPy. usage: arrays.py, in the folder that the files go to"""
import struct
import zipfile


def npy(descr, shape, values, fortran=False, version=1):
    header = "{'descr': '%s', 'fortran_order': %s, 'shape': %s, }" % (descr, fortran, shape)
    header += " " * (63 - (10 + len(header)) % 64) + "\n"
    length = struct.pack("<H" if version == 1 else "<I", len(header))
    return b"\x93NUMPY" + bytes([version, 0]) + length + header.encode() + values


def write(name, content):
    with open(name, "wb") as file:
        file.write(content)


# Rows (0, 0), (1, 10), (2, 20), (3, 30).
rows = npy("<f4", "(4, 2)", struct.pack("<8f", 0, 0, 1, 10, 2, 20, 3, 30))
labels = npy("<u2", "(4,)", struct.pack("<4H", 0, 1, 2, 1))
write("x.npy", rows)
write("fortran.npy", npy(">f2", "(4, 2)", struct.pack(">8e", 0, 1, 2, 3, 0, 10, 20, 30), True, 2))
write("y.npy", labels)
write("short.npy", rows[:-1])
write("nan.npy", npy("<f4", "(4, 2)", struct.pack("<8f", 0, 0, 1, 10, float("nan"), 20, 3, 30)))
write("complex.npy", npy("<c8", "(4, 2)", bytes(64)))
for name, method in ("stored.npz", zipfile.ZIP_STORED), ("deflated.npz", zipfile.ZIP_DEFLATED):
    with zipfile.ZipFile(name, "w", method) as archive:
        archive.writestr("images.npy", rows)
        archive.writestr("labels.npy", labels)
whole = open("deflated.npz", "rb").read()
write("damaged.npz", whole[:70] + bytes([whole[70] ^ 1]) + whole[71:])
write("cut.npz", whole[:-30])
# Records of CIFAR-10 with the planes 1, 2, 3 and 4, 5, 6; of CIFAR-100 with one image.
plane = [bytes([i]) * 1024 for i in range(7)]
write("ten.bin", b"\x09" + plane[1] + plane[2] + plane[3] + b"\x02" + plane[4] + plane[5] + plane[6])
write("hundred.bin", b"\x13\x63" + plane[1] + plane[2] + plane[3])
write("eleven.bin", b"\x0b" + plane[1] + plane[2] + plane[3])

"""Writes flipped.ckpt (one bit of the middle byte changed) and short.ckpt (the last 9 bytes missing)."""

import sys

whole = open(sys.argv[1], "rb").read()
middle = len(whole) // 2
open("flipped.ckpt", "wb").write(whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :])
open("short.ckpt", "wb").write(whole[:-9])

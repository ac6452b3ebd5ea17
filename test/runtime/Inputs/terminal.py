"""Runs a program on a pseudo terminal and prints the first live line (between a carriage return and the erase code)."""

import os
import pty
import re
import sys

output = bytearray()
process, descriptor = pty.fork()
if process == 0:
    os.execv(sys.argv[1], sys.argv[1:])
while True:
    try:
        data = os.read(descriptor, 4096)
    except OSError:
        break
    if not data:
        break
    output.extend(data)
os.waitpid(process, 0)
found = re.search(rb"\r([^\r\n]+)\x1b\[K", bytes(output))
print("live:", found.group(1).decode() if found else "none")

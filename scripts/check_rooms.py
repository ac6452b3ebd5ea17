"""Checks the #include edges of the sources against the table of rooms in docs/architecture.md.

The last column of the table lists the rooms that a room may include; `–` is none, `everything` all. Exits 1 and names each include that
is not in the table, and each room that is missing from it.
"""
import pathlib
import re
import subprocess
import sys

root = pathlib.Path(__file__).resolve().parent.parent
table = {}
everything = None  # the room at the top
for line in (root / "docs/architecture.md").read_text().splitlines():
    cells = [c.strip() for c in line.strip().strip("|").split("|")]
    if len(cells) == 3 and re.fullmatch(r"`[a-z_/]+`", cells[0]):
        table[cells[0].strip("`")] = set(re.findall(r"`([a-z_/]+)`", cells[2]))
        if cells[2] == "everything":
            everything = cells[0].strip("`")

def room_of(path):
    """The longest room of the table that is a prefix of the path, or the folder itself."""
    parts = pathlib.PurePosixPath(path).parts[:-1]
    for n in range(len(parts), 0, -1):
        if "/".join(parts[:n]) in table:
            return "/".join(parts[:n])
    return "/".join(parts[:2])

problems = []
files = subprocess.run(["git", "ls-files", "compiler", "runtime"], cwd=root, capture_output=True, text=True, check=True)
for name in files.stdout.split():
    if not name.endswith((".h", ".cpp", ".def", ".c")):
        continue
    here = room_of(name)
    if here not in table:
        problems.append(f"{name}: the room {here} is not in docs/architecture.md")
        continue
    for number, line in enumerate((root / name).read_text().splitlines(), 1):
        match = re.match(r'\s*#\s*include\s+"((?:compiler|runtime)/[^"]+)"', line)
        if match:
            there = room_of(match.group(1))
            if there != here and here != everything and there not in table[here]:
                problems.append(f"{name}:{number}: {here} may not include {there}")

print("\n".join(problems) or f"{len(table)} rooms, every include is allowed")
sys.exit(1 if problems else 0)

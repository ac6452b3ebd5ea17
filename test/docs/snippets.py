"""Runs every snippet of a Markdown file, so that README and docs/ stay true.

```dnn      a complete file: `dnnc check` accepts it
```dnnir    IR text: `dnn-opt` reads and verifies it
```console  each `$ command` runs with dnnc on the PATH in a copy of examples/; the lines below it must appear in its
            output in this order, `…` stands for anything. `make` commands are only looked up (they run the tests).
```sh       the same without expected output
Other kinds (text, cpp) are not run. usage: snippets.py BIN_DIR SOURCE_DIR FILE.md
"""
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

bin_dir, source_dir, page = (pathlib.Path(a).resolve() for a in sys.argv[1:4])
RUN_KINDS = {"dnn", "dnnir", "console", "sh"}
OTHER_KINDS = {"text", "cpp", "cmake", "python", "json", ""}


def snippets(text):
    """(line number, kind, body) of each fenced block."""
    lines = text.splitlines()
    i = 0
    while i < len(lines):
        match = re.match(r"^\s*```(\S*)", lines[i])
        if match:
            start, kind, body = i + 1, match.group(1), []
            i += 1
            while i < len(lines) and not re.match(r"^\s*```\s*$", lines[i]):
                body.append(lines[i])
                i += 1
            yield start, kind, body
        i += 1


def expected_in_order(expected, output):
    """The first expected line that does not appear after the ones before it, or None."""
    have = [line.rstrip() for line in output.splitlines()]
    at = 0
    for want in expected:
        want = want.rstrip()
        if want in ("", "…"):
            continue
        pattern = ".*".join(re.escape(part) for part in want.split("…"))
        while at < len(have) and not re.fullmatch(pattern, have[at]):
            at += 1
        if at == len(have):
            return want
        at += 1
    return None


def run(command, cwd, stdin=None):
    env = dict(os.environ, PATH=f"{bin_dir}:{os.environ['PATH']}")
    done = subprocess.run(["bash", "-c", command], cwd=cwd, input=stdin, env=env, text=True, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, timeout=300)
    return done.returncode, done.stdout


failures = []
count = 0
with tempfile.TemporaryDirectory() as tmp:
    tmp = pathlib.Path(tmp)
    shutil.copytree(source_dir / "examples", tmp / "examples")
    for line, kind, body in snippets(page.read_text()):
        where = f"{page.name}:{line}"
        if kind not in RUN_KINDS:
            if kind not in OTHER_KINDS:
                failures.append(f"{where}: unknown kind of snippet '{kind}'")
            continue
        count += 1
        if kind == "dnn":
            (tmp / "snippet.dnn").write_text("\n".join(body) + "\n")
            code, out = run("dnnc check snippet.dnn", tmp)
            if code != 0:
                failures.append(f"{where}: dnnc check failed\n{out}")
        elif kind == "dnnir":
            code, out = run("dnn-opt -", tmp, "\n".join(body) + "\n")
            if code != 0:
                failures.append(f"{where}: dnn-opt failed\n{out}")
        else:
            commands = []
            for text in body:
                if kind == "sh" and text.strip() and not text.lstrip().startswith("#"):
                    commands.append((text, []))
                elif kind == "console" and text.startswith("$ "):
                    commands.append((text[2:], []))
                elif kind == "console" and commands:
                    commands[-1][1].append(text)
            for command, expected in commands:
                if re.match(r"(make|git clone|cd) ", command):
                    target = command.split()[1] if command.startswith("make") else None
                    if target and not re.search(rf"^{target}:", (source_dir / "Makefile").read_text(), re.M):
                        failures.append(f"{where}: make has no target {target}")
                    continue
                code, out = run(command, tmp)
                missing = expected_in_order(expected, out)
                expects_failure = any("error" in e for e in expected)
                if (code != 0) != expects_failure:
                    failures.append(f"{where}: `{command}` ended with {code}\n{out}")
                elif missing is not None:
                    failures.append(f"{where}: `{command}` did not print `{missing}`; it printed\n{out}")

print("\n".join(failures) or f"{page.name}: {count} snippets ran")
sys.exit(1 if failures else 0)

#!/usr/bin/env python3
"""Keeps the house tidy where compilers do not look.

    tools/tidy.py             checks everything; exit 1 and one `file:line: text` for each finding
    tools/tidy.py --ratchet   first lowers tools/tidy_ratchet.json to what is there now
    tools/tidy.py --list-cpp  only prints the C++ files

Rooms are the `rask_library(<name> [PURE] DEPENDS ...)` calls under src/rask.
  - the declared rooms form no circle, and a file includes only its own or a declared room;
  - a PURE room includes no socket, thread, file or clock;
  - each room has a README.md, and its CMakeLists.txt names each .cc file;
  - a .cc file includes its own header first; a header says `#pragma once`;
  - at most 100 columns, 600 lines a file, 70 lines a function; nothing is left to be done later;
  - clang-format agrees, where it is installed.
Longer functions and files are tolerated where the ratchet file names them, and may only shrink.
"""
import argparse
import json
import pathlib
import re
import shutil
import subprocess
import sys

COLUMNS_MAX = 100
FILE_LINES_MAX, FILE_LINES_HARD_MAX = 600, 1000
FUNCTION_LINES_MAX = 70
CPP, PYTHON = {".h", ".cc"}, {".py"}
IMPURE = re.compile(r"<(boost/asio|boost/beast|asio|thread|mutex|shared_mutex|condition_variable|"
                    r"future|stop_token|semaphore|latch|barrier|sys/(?!mman)|netinet/|arpa/|poll|"
                    r"unistd|fcntl|fstream|curl/|sqlite3)")
CLOCK = re.compile(r"\b(system_clock|steady_clock|high_resolution_clock|random_device)\b(?!>)")
LATER = re.compile(r"\b(TO" r"DO|FIX" r"ME|XX" r"X)\b")
ROOM_CALL = re.compile(r"\brask_library\(\s*(\w+)([^)]*)\)")
KEYWORDS = {"PURE", "DEPENDS", "HEADERS", "SOURCES", "TESTS", "LIBRARIES",
            "PRIVATE_LIBRARIES"}


class Room:
    def __init__(self, name, body):
        self.name, self.pure, self.lists = name, False, {}
        current = None
        for word in re.sub(r"#.*", "", body).split():
            if word == "PURE":
                self.pure = True
            elif word in KEYWORDS:
                current = self.lists.setdefault(word, [])
            elif current is not None:
                current.append(word)
        self.depends = set(self.lists.get("DEPENDS", ()))


def read_rooms(root):
    """{name: Room} from the CMake files. The folder of a room has its name."""
    calls = [call for path in sorted(root.glob("src/rask/*/CMakeLists.txt"))
             for call in ROOM_CALL.findall(path.read_text())]
    return {name: Room(name, body) for name, body in calls}


def find_cycle(graph):
    """One cycle as a list of names, or [] when you can only walk downstairs."""
    done, path = set(), []

    def walk(name):
        if name in path:
            return path[path.index(name):] + [name]
        if name in done:
            return []
        path.append(name)
        for below in sorted(graph.get(name, ())):
            if loop := walk(below):
                return loop
        done.add(path.pop())
        return []

    return next((loop for name in sorted(graph) if (loop := walk(name))), [])


# ---- functions -----------------------------------------------------------------------------------

NOISE = re.compile(
    r'//[^\n]*|/\*.*?\*/|R"(?P<tag>[^(\s]*)\(.*?\)(?P=tag)"|"(?:\\.|[^"\\\n])*"'
    r"|(?<![0-9a-fA-F])'(?:\\.|[^'\\\n])+'|^[ \t]*#(?:\\\n|[^\n])*", re.S | re.M)
SCOPE = re.compile(r"\b(namespace|class|struct|union|enum|extern)\b")


def blank(match):
    """Newlines stay, so that line numbers do."""
    return re.sub(r"[^\n]", " ", match[0])


def function_name(head):
    names = re.findall(r"((?:\w+::)*(?:~?\w+|operator\s*[^\s(]+))\s*\(", head)
    words = {"decltype", "noexcept", "requires", "alignas", "sizeof"}
    return next((name for name in names if name not in words), "?")


def functions(text):
    """(name, first line, lines) of each function body outside other functions."""
    text = NOISE.sub(blank, text)
    stack, head, line = [], "", 1
    for char in text:
        if char == "\n":
            line += 1
        if char == "{":
            inside = stack[-1][0] if stack else "scope"
            if inside in ("function", "braces"):
                kind = "braces"
            elif re.search(r"\)[^()]*:[^;]*[\w>]$", head):
                kind = "braces"  # A member initialised with braces: the body comes later.
            elif SCOPE.search(head) and "(" not in re.sub(r"\b(alignas|requires)\s*\([^)]*\)", "",
                                                          head):
                kind = "scope"
            else:
                kind = "function" if ")" in head else "braces"
            stack.append((kind, head, line))
            head = "" if kind in ("scope", "function") else head
        elif char == "}" and stack:
            kind, opened, first = stack.pop()
            if kind == "function":
                yield function_name(opened), first, line - first + 1
            head = opened + "x" if kind == "braces" else ""
        elif char == ";":
            head = ""
        else:
            head += char


# ---- one file ------------------------------------------------------------------------------------

def check_includes(root, path, rooms, lines):
    room = rooms.get(path.relative_to(root / "src/rask").parts[0])
    includes = [(n, m[1]) for n, line in enumerate(lines, 1)
                if (m := re.match(r'#include (["<][^">]+)', line))]
    own = str(path.relative_to(root / "src").with_suffix(".h")).replace("_test.h", ".h")
    if path.suffix == ".cc" and (root / "src" / own).exists():
        if not includes or includes[0][1] != '"' + own:
            yield 1, f'the first include must be "{own}"'
    if room is None:
        return
    for n, target in includes:
        other = re.match(r'"rask/(\w+)/', target)
        if other and other[1] != room.name and other[1] not in room.depends:
            yield n, f"{room.name} does not name {other[1]} in DEPENDS"
    if not room.pure or path.name.endswith("_test.cc"):
        return
    for n, target in includes:
        if IMPURE.match(target):
            yield n, f"{room.name} is PURE, it may not include {target[1:]}"
    for n, line in enumerate(lines, 1):
        if CLOCK.search(line):
            yield n, f"{room.name} is PURE, time and chance come in as arguments"


def check_lines(path, lines):
    if path.suffix == ".h" and "#pragma once" not in lines:
        yield 1, "a header says #pragma once"
    for n, line in enumerate(lines, 1):
        if len(line) > COLUMNS_MAX:
            yield n, f"{len(line)} columns, at most {COLUMNS_MAX}"
        if LATER.search(line):
            yield n, "do it now, or write down in docs/ that it is not done"


def check_sizes(path, name, text, lines, ratchet, sizes):
    """Findings, and into `sizes` what the ratchet must know."""
    if len(lines) > FILE_LINES_MAX:
        sizes["files"][name] = len(lines)
        allowed = min(ratchet["files"].get(name, FILE_LINES_MAX), FILE_LINES_HARD_MAX)
        if len(lines) > allowed:
            yield 1, f"{len(lines)} lines, at most {allowed}"
    if path.suffix not in CPP:
        return
    for function, first, count in functions(text):
        if count <= FUNCTION_LINES_MAX:
            continue
        key = f"{name}:{function}"
        sizes["functions"][key] = max(count, sizes["functions"].get(key, 0))
        allowed = ratchet["functions"].get(key, FUNCTION_LINES_MAX)
        if count > allowed:
            yield first, f"{function} has {count} lines, at most {allowed}"


# ---- everything ----------------------------------------------------------------------------------

def check_rooms(root, rooms):
    if loop := find_cycle({name: room.depends for name, room in rooms.items()}):
        yield "src/rask: rooms in a circle: " + " -> ".join(loop)
    for name, room in rooms.items():
        folder = root / "src/rask" / name
        if not (folder / "README.md").exists():
            yield f"src/rask/{name}: a room says in README.md what it is for"
        text = (folder / "CMakeLists.txt").read_text()
        for path in sorted(folder.rglob("*.cc")):
            if not re.search(rf"(?<![\w/]){re.escape(str(path.relative_to(folder)))}\b", text):
                yield f"src/rask/{name}/CMakeLists.txt: does not name {path.relative_to(folder)}"


def source_files(root):
    for folder in ("src", "tests", "bench", "examples", "tools", "python"):
        for path in sorted((root / folder).rglob("*")):
            if path.suffix in CPP | PYTHON and not {"build", "__pycache__"} & set(path.parts):
                yield path


def check_format(root, paths):
    tool = shutil.which("clang-format-19") or shutil.which("clang-format")
    if not tool:
        print("tidy: clang-format is not installed, formatting is not checked", file=sys.stderr)
        return []
    names = [str(path.relative_to(root)) for path in paths if path.suffix in CPP]
    batches = [names[i::2] for i in range(2)]
    runs = [subprocess.Popen([tool, "--dry-run", *batch], cwd=root, text=True,
                             stderr=subprocess.PIPE) for batch in batches if batch]
    wrong = {}
    for run in runs:
        for line in run.communicate()[1].splitlines():
            if found := re.match(r"([^:\s]+):(\d+):\d+: warning: .*clang-format", line):
                wrong.setdefault(found[1], found[2])
    return [f"{name}:{line}: not formatted: make format" for name, line in sorted(wrong.items())]


def lower(ratchet, sizes, path):
    """What is gone leaves the file, what shrank is noted; nothing is added or raised."""
    lowered = {kind: {name: min(limit, sizes[kind][name]) for name, limit in sorted(limits.items())
                      if name in sizes[kind]} for kind, limits in ratchet.items()}
    path.write_text(json.dumps(lowered, indent=2) + "\n")
    return lowered


def main():
    parser = argparse.ArgumentParser(description="checks the house; see the top of this file")
    parser.add_argument("--ratchet", action="store_true")
    parser.add_argument("--list-cpp", action="store_true", help="only print the C++ files")
    parser.add_argument("--no-format", action="store_true", help="without clang-format")
    parser.add_argument("root", nargs="?", default=pathlib.Path(__file__).resolve().parent.parent)
    options = parser.parse_args()
    root = pathlib.Path(options.root).resolve()
    if options.list_cpp:
        print(*(path for path in source_files(root) if path.suffix in CPP), sep="\n")
        return 0
    ratchet_path = root / "tools/tidy_ratchet.json"
    ratchet = {"files": {}, "functions": {}}
    if ratchet_path.exists():
        ratchet |= json.loads(ratchet_path.read_text())

    rooms, paths = read_rooms(root), list(source_files(root))
    findings = list(check_rooms(root, rooms))
    sizes = {"files": {}, "functions": {}}
    for path in paths:
        name = str(path.relative_to(root))
        text = path.read_text()
        lines = text.splitlines()
        found = list(check_lines(path, lines))
        found += check_sizes(path, name, text, lines, ratchet, sizes)
        if name.startswith("src/rask/") and path.suffix in CPP:
            found += check_includes(root, path, rooms, lines)
        findings += [f"{name}:{n}: {what}" for n, what in sorted(found)]
    if options.ratchet:
        ratchet = lower(ratchet, sizes, ratchet_path)
    for kind, limits in ratchet.items():
        findings += [f"tools/tidy_ratchet.json: {name} is better than {limit} now: "
                     "tools/tidy.py --ratchet" for name, limit in limits.items()
                     if sizes[kind].get(name, 0) < limit]
    if not options.no_format:
        findings += check_format(root, paths)
    for finding in findings:
        print(finding)
    total = sum(len(limits) for limits in ratchet.values())
    print(f"tidy: {len(rooms)} rooms, {len(paths)} files, {len(findings)} findings, "
          f"{total} tolerated by the ratchet")
    return bool(findings)


if __name__ == "__main__":
    sys.exit(main())

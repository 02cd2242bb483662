"""Puts the native program and the shared libraries it needs into the wheel.

    RASK_PROGRAM    the program, with librask.so where it finds it: in an install prefix or a build
                    tree. Without it: build/release/bin/rask of this source tree.

The wheel has dask_rask/bin/rask and dask_rask/lib/*.so*, which find each other wherever they are.
The C and C++ runtime are the system's, so the wheel is tagged with the glibc it was built with.
"""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

# Of every Linux that is no older than the one that this was built on.
OF_THE_SYSTEM = re.compile(
    r"(ld-linux.*|lib(c|m|dl|rt|util|resolv|pthread|anl|gcc_s|stdc\+\+))\.so\.\d+"
)


class NativeProgram(BuildHookInterface):  # type: ignore[misc, type-arg]
    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if version == "editable":
            return  # The program of the source tree is found where it is built.
        root = Path(self.root)
        program = Path(os.environ.get("RASK_PROGRAM", root / "../build/release/bin/rask")).resolve()
        if not program.is_file():
            raise FileNotFoundError(
                f"{program} is not there; make build, or name the program in RASK_PROGRAM"
            )
        stage = root / "../build/wheel/stage"
        shutil.rmtree(stage, ignore_errors=True)
        build_data["force_include"].update(
            {str(file): f"dask_rask/{file.relative_to(stage)}" for file in collect(program, stage)}
        )
        glibc = platform.libc_ver()[1].replace(".", "_")
        build_data["pure_python"] = False
        build_data["tag"] = f"py3-none-manylinux_{glibc}_{platform.machine()}"


def collect(program: Path, stage: Path) -> list[Path]:
    """The program and its libraries, stripped and made to find each other."""
    libraries = needed(program)
    files = [place(program, stage / "bin/rask", "$ORIGIN/../lib")]
    files += [place(path, stage / "lib" / name, "$ORIGIN") for name, path in libraries.items()]
    found = needed(files[0])
    astray = [
        name for name in libraries if found[name].resolve() != (stage / "lib" / name).resolve()
    ]
    if astray:
        raise RuntimeError(f"the program in the wheel would not find its own {', '.join(astray)}")
    return files + licences(libraries, stage / "lib/licences")


def needed(program: Path) -> dict[str, Path]:
    """The libraries that are not the system's, by the name they are asked for."""
    said = subprocess.run(["ldd", program], check=True, capture_output=True, text=True).stdout
    if missing := re.findall(r"(\S+) => not found", said):
        raise FileNotFoundError(f"{program} needs {', '.join(missing)}")
    pairs = re.findall(r"(\S+) => (/\S+)", said)
    return {name: Path(path) for name, path in pairs if not OF_THE_SYSTEM.fullmatch(name)}


def place(source: Path, target: Path, rpath: str) -> Path:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)
    target.chmod(0o755)
    subprocess.run(["strip", "--strip-debug", target], check=True)
    subprocess.run(["patchelf", "--set-rpath", rpath, target], check=True)
    return target


def licences(libraries: dict[str, Path], folder: Path) -> list[Path]:
    """The terms of what was copied from Debian's packages, which must travel with it."""
    folder.mkdir(parents=True)
    if not shutil.which("dpkg-query"):
        return []
    files = []
    for path in libraries.values():
        # dpkg knows /lib/x.so by the one name or the other.
        names = {str(path), str(path.resolve()), str(path).removeprefix("/usr"), f"/usr{path}"}
        said = subprocess.run(["dpkg-query", "-S", *names], capture_output=True, text=True).stdout
        for package in sorted(set(re.findall(r"^([^:\s]+)(?::\w+)?: ", said, re.M))):
            terms, copy = Path("/usr/share/doc", package, "copyright"), folder / package
            if terms.exists() and not copy.exists():
                files.append(Path(shutil.copyfile(terms, copy)))
    return files

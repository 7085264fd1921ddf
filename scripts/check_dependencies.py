#!/usr/bin/env python3
"""Checks every dependency's licence, and that the data crates come once.

Two versions of arrow (or of what stands on it) have types that do not fit
each other; the compiler says so late and unclearly. Reads `cargo metadata
--locked`; exits 1 and names each package that breaks a rule.
"""

import json
import re
import subprocess
import sys
from collections import defaultdict

# Licence: why it is fine in a program under Apache-2.0.
ALLOWED = {
    "0BSD": "permissive, asks nothing",
    "Apache-2.0": "our own",
    "Apache-2.0 WITH LLVM-exception": "Apache-2.0 with an extra permission",
    "BSD-2-Clause": "permissive, asks for the notice",
    "BSD-3-Clause": "permissive, asks for the notice",
    "BSL-1.0": "permissive, asks for the notice in source only",
    "CC0-1.0": "public domain",
    "CDLA-Permissive-2.0": "data (root certificates), asks for its text",
    "ISC": "permissive, asks for the notice",
    "MIT": "permissive, asks for the notice",
    "MIT-0": "permissive, asks nothing",
    "MPL-2.0": "weak copyleft by file; we change no such file",
    "Unicode-3.0": "data tables, asks for the notice",
    "Unlicense": "public domain",
    "Zlib": "permissive, asks to mark changes",
    "bzip2-1.0.6": "permissive, asks for the notice",
}

# Packages that state their licence in a file only: what that file says.
STATED_IN_FILE = {}

SINGLE_VERSION = ["arrow", "parquet", "datafusion", "object_store"]


def licence_is_allowed(expression):
    """Whether the SPDX expression can be met by allowed licences alone."""
    expression = expression.replace("/", " OR ")
    tokens = re.findall(r"\(|\)|[^\s()]+", expression)
    position = 0

    def peek():
        return tokens[position] if position < len(tokens) else None

    def take():
        nonlocal position
        position += 1
        return tokens[position - 1]

    def either():
        value = both()
        while peek() == "OR":
            take()
            # Evaluate the right side first: it must be read either way.
            value = both() or value
        return value

    def both():
        value = one()
        while peek() == "AND":
            take()
            value = one() and value
        return value

    def one():
        if peek() == "(":
            take()
            value = either()
            take()
            return value
        name = take()
        if peek() == "WITH":
            take()
            name = f"{name} WITH {take()}"
        return name in ALLOWED

    return either()


def used_packages(metadata):
    """The packages that the resolved graph reaches from ours."""
    edges = {
        node["id"]: [dep["pkg"] for dep in node["deps"]] for node in metadata["resolve"]["nodes"]
    }
    seen, waiting = set(), list(metadata["workspace_members"])
    while waiting:
        package = waiting.pop()
        if package not in seen:
            seen.add(package)
            waiting.extend(edges[package])
    return [package for package in metadata["packages"] if package["id"] in seen]


def problems(metadata):
    packages = used_packages(metadata)
    for package in packages:
        name = f"{package['name']} {package['version']}"
        licence = package["license"] or STATED_IN_FILE.get(package["name"])
        if licence is None:
            yield f"{name} states no licence; look, and add it to STATED_IN_FILE"
        elif not licence_is_allowed(licence):
            yield f"{name} is under {licence}, which is not on the list of allowed licences"
    versions = defaultdict(set)
    for package in packages:
        versions[package["name"]].add(package["version"])
    for name in SINGLE_VERSION:
        if len(versions[name]) != 1:
            found = ", ".join(sorted(versions[name])) or "none"
            yield f"{name} must come in one version; found {found}"


def main():
    # One platform: packages of others are never built or shipped.
    host = re.search(r"host: (\S+)", subprocess.check_output(["rustc", "-vV"], text=True)).group(1)
    command = ["cargo", "metadata", "--locked", "--format-version", "1", "--filter-platform", host]
    metadata = json.loads(subprocess.check_output(command))
    found = list(problems(metadata))
    for problem in found:
        print(problem)
    count = len(used_packages(metadata))
    print(f"dependencies: {count} packages checked, {len(found)} problems")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())

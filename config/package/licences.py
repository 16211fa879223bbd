#!/usr/bin/env python3
"""Writes the licence texts of everything that the program is built from.

    licences.py > THIRD-PARTY-LICENCES.txt
    licences.py --accept MIT,ISC

It ends with 1 where a package, or one that only the tests need, is under none of the accepted
licences, or where a package of the program has no text. It reads what cargo has fetched, and has
cargo fetch the rest. C that a package carries along (Lua, mimalloc, BoringSSL) is looked through, too."""

import argparse
import json
import os
import re
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
# What a program under MIT may be linked with, and given away.
ACCEPTED = ["0BSD", "Apache-2.0", "Apache-2.0 WITH LLVM-exception", "BSD-2-Clause", "BSD-3-Clause",
            "BSL-1.0", "ISC", "MIT", "Unicode-3.0", "Unlicense", "Zlib"]
TEXTS = re.compile(r"(un)?licen[cs]e|copying|copyright|notice", re.IGNORECASE)
SOURCES = (".c", ".h", ".rs", ".go", ".py", ".s", ".toml", ".json", ".yml")
# Lua has its licence in a header.
LUA = re.compile(r"^\* (Copyright \(C\) .*?)^\*{20}", re.MULTILINE | re.DOTALL)


def cargo(*words):
    words = [os.environ.get("CARGO", "cargo"), *words]
    return subprocess.run(words, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout


def metadata():
    rustc = os.environ.get("RUSTC", "rustc")
    version = subprocess.run([rustc, "-vV"], check=True, stdout=subprocess.PIPE, text=True).stdout
    host = re.search(r"^host: (.+)$", version, re.MULTILINE)[1]
    return json.loads(cargo("metadata", "--format-version", "1", "--locked",
                            "--filter-platform", host))


def taking_part(told):
    """The names by which cargo knows what the program is built from: all but what tests need."""
    nodes = {it["id"]: it for it in told["resolve"]["nodes"]}
    found, ahead = set(), [told["resolve"]["root"]]
    while ahead:
        at = ahead.pop()
        if at in found:
            continue
        found.add(at)
        for it in nodes[at]["deps"]:
            if any(kind["kind"] != "dev" for kind in it["dep_kinds"]):
                ahead.append(it["pkg"])
    return found - {told["resolve"]["root"]}


def is_accepted(expression, accepted):
    """Whether an SPDX expression can be met by these licences; `/` is an old OR."""
    words = re.findall(r"\(|\)|[^\s()]+", expression.replace("/", " OR "))

    def either():
        met = both()
        while words and words[0] == "OR":
            words.pop(0)
            met = both() or met
        return met

    def both():
        met = one()
        while words and words[0] == "AND":
            words.pop(0)
            met = one() and met
        return met

    def one():
        if words[0] == "(":
            words.pop(0)
            met = either()
            words.pop(0)
            return met
        name = words.pop(0)
        if words and words[0] == "WITH":
            name = f"{name} {words.pop(0)} {words.pop(0)}"
        return name in accepted

    return bool(words) and either()


def texts(package):
    """Every licence's text in a package's folder: its path there, and what it says."""
    folder = os.path.dirname(package["manifest_path"])
    for at, folders, files in os.walk(folder):
        folders.sort()
        for name in sorted(files):
            path = os.path.join(at, name)
            shown = os.path.relpath(path, folder)
            if name == "lua.h" and (found := LUA.search(read(path))):
                yield shown, re.sub(r"^\* ?", "", found[1], flags=re.MULTILINE)
            elif TEXTS.match(name) and not name.endswith(SOURCES):
                yield shown, read(path)


def read(path):
    with open(path, encoding="utf-8", errors="replace") as file:
        return file.read().strip("\n")


def collect(packages):
    """One chapter per package, and the packages without a text.

    A package without one shares that of another of its repository, or has MIT's with its authors.
    A text that has been shown is named by where it stands."""
    found = {it["id"]: list(texts(it)) for it in packages}
    beside = {it["repository"]: found[it["id"]] for it in packages if found[it["id"]]}
    chapters, missing, seen = [], [], {}
    for it in packages:
        name = f"{it['name']} {it['version']}"
        chapter = [f"{'=' * 80}\n{name}: {it['license']}\n{it['repository'] or ''}"]
        mine = found[it["id"]] or beside.get(it["repository"]) or standard(it)
        if not mine:
            missing.append(name)
        for file, text in mine:
            first = seen.setdefault(text, f"{name}, {file}")
            again = first != f"{name}, {file}"
            chapter.append(f"--- {file}\n\n" + (f"As in {first}." if again else text))
        chapters.append("\n\n".join(chapter))
    return chapters, missing


def standard(package):
    """MIT's text is the same everywhere but for who has the copyright: ours, with their names."""
    if not package["authors"] or not is_accepted(package["license"] or "", ["MIT"]):
        return []
    _, permission = read(os.path.join(ROOT, "LICENSE")).split("\n\nPermission", 1)
    authors = "\n".join(f"Copyright (c) {it}" for it in package["authors"])
    return [("MIT, as its Cargo.toml says", f"MIT License\n\n{authors}\n\nPermission{permission}")]


def main():
    ask = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    ask.add_argument("--accept", default=",".join(ACCEPTED), help="licences, with commas between")
    accepted = ask.parse_args().accept.split(",")
    told = metadata()
    everything = sorted(told["packages"], key=lambda it: (it["name"], it["version"]))
    built_from = taking_part(told)
    refused = [f"{it['name']} {it['version']} is under {it['license']}" for it in everything
               if not is_accepted(it["license"] or "", accepted)]
    chapters, missing = collect([it for it in everything if it["id"] in built_from])
    print("Entourage is built from these packages, under these licences.\n")
    print("\n\n".join(chapters))
    for why in refused + [f"{it} has no licence text" for it in missing]:
        print(f"licences.py: {why}", file=sys.stderr)
    return 1 if refused or missing else 0


sys.exit(main())

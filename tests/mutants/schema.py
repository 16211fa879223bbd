"""Puts all mutants that cargo-mutants lists into one tree, each behind `crate::mutant::on(number)`.

    schema.py TREE LIST OUT

TREE is a scratch copy of the sources, rewritten in place; LIST is what `cargo mutants --list --json`
says of the same sources; OUT gets one JSON object per mutant: its number, name, room, and what became
of it: "in" (the tree holds it), "unviable" (what it would write does not compile) or "single" (it
cannot be switched at run time, and is built by itself). The compiler says which: what it refuses is
taken out, until it takes the rest.
"""

import json
import subprocess
import sys
from collections import Counter, defaultdict
from pathlib import Path

import tree_sitter_rust
from tree_sitter import Language, Parser

RUNTIME = Path(__file__).with_name("mutant.rs")
COMPARISONS = {"==", "!=", "<", "<=", ">", ">="}
LAZY = {"&&", "||"}


class Mutant:
    """One line of the list. `form` counts the ways that were tried to write it."""

    def __init__(self, number, listed):
        self.number = number
        self.name = listed["name"]
        self.file = listed["file"]
        self.genre = listed["genre"]
        self.replacement = listed["replacement"]
        self.span = listed["span"]
        self.function = listed["function"] or {}
        self.state = "in"
        self.why = ""

    def see(self, text):
        """The line where it stands."""
        self.line = text.split(b"\n")[self.span["start"]["line"] - 1].decode().strip()

    def leave(self, state, why):
        self.state, self.why = state, why

    def record(self):
        parts = Path(self.file).parts
        room = "server/connection" if parts[1] == "server" else parts[1]
        return {"number": self.number, "name": self.name, "room": room, "state": self.state,
                "why": self.why, "file": self.file, "genre": self.genre,
                "replacement": self.replacement, "span": self.span, "line": self.line}


def const_of(node):
    """The word `const` of the function around a node, where it has one."""
    while node and node.type != "function_item":
        node = node.parent
    for child in node.children if node else ():
        if child.type == "function_modifiers":
            for word in child.children:
                if word.type == "const":
                    return word
    return None


class Site:
    """One node of the syntax tree with the mutants that change it. Its forms are tried in turn."""

    def __init__(self, kind, start, end, node):
        self.kind, self.start, self.end, self.node = kind, start, end, node
        self.mutants = []
        self.form = 0
        self.inner = []

    def live(self):
        return [it for it in self.mutants if it.state == "in"]


class Source:
    """One file, its sites nested as in the syntax tree, and how it is written out again."""

    def __init__(self, path, text):
        self.path = path
        self.bytes = text
        self.lines = [0]
        for at, byte in enumerate(text):
            if byte == 10:
                self.lines.append(at + 1)
        self.tree = Parser(Language(tree_sitter_rust.language())).parse(text)
        self.sites = {}
        self.roots = []
        self.spans = []
        # Functions that lose their `const`, as it can be asked at run time only which mutant is on.
        self.consts = {}

    def at(self, place):
        line = self.lines[place["line"] - 1]
        text = self.bytes[line:].split(b"\n", 1)[0].decode()
        return line + len(text[: place["column"] - 1].encode())

    def add(self, mutant):
        start, end = self.at(mutant.span["start"]), self.at(mutant.span["end"])
        site = self.find(mutant, start, end)
        if site is None:
            if mutant.state == "in":
                mutant.leave("single", "it stands in a constant")
            return
        if word := const_of(site.node):
            name = word.parent.parent.child_by_field_name("name").text.decode()
            self.consts.setdefault((word.start_byte, word.end_byte), [name]).append(mutant)
        key = (site.kind, site.start, site.end)
        self.sites.setdefault(key, site).mutants.append(mutant)

    def find(self, mutant, start, end):
        genre = mutant.genre
        node = self.tree.root_node.descendant_for_byte_range(start, max(start, end - 1))
        if genre == "FnValue":
            # The whole body, so that what the function returns is inside of it.
            while node and node.type != "function_item":
                node = node.parent
            if node is None:
                return None
            body = node.child_by_field_name("body")
            return Site("body", body.start_byte, body.end_byte, node)
        if genre in ("BinaryOperator", "UnaryOperator"):
            node = node.parent if not node.is_named or node.start_byte == start else node
            kinds = {"binary_expression", "compound_assignment_expr", "unary_expression"}
            while node and node.type not in kinds:
                node = node.parent
            if node is None:
                if in_let_chain(self.tree.root_node, start):
                    mutant.leave("unviable", "a chain with `let` has no `||`")
                return None
            for above in ancestors(node):
                if above.type in ("const_item", "static_item", "array_type", "range_pattern"):
                    return None
                if above.type in ("function_item", "closure_expression"):
                    break
            else:
                return None
            return Site("operator", node.start_byte, node.end_byte, node)
        if genre == "MatchArmGuard":
            return Site("guard", start, end, node)
        if genre == "MatchArm":
            while node and not (node.type == "match_arm" and node.start_byte == start):
                node = node.parent
            if node is None:
                return None
            if not stays_whole(node):
                mutant.leave("unviable", "the match would not be exhaustive")
            pattern = node.child_by_field_name("pattern")
            return Site("arm", pattern.start_byte, pattern.end_byte, pattern)
        if genre == "StructField":
            kinds = {"field_initializer", "shorthand_field_initializer"}
            node = self.tree.root_node.descendant_for_byte_range(start, start)
            while node and node.type not in kinds:
                node = node.parent
            return node and Site("field", node.start_byte, node.end_byte, node)
        return None

    def nest(self):
        # Around before inside; of the same extent, what encloses comes first.
        order = {"body": 0, "arm": 1, "guard": 2, "field": 3, "operator": 4}
        stack = []
        for site in sorted(self.sites.values(), key=lambda it: (it.start, -it.end, order[it.kind])):
            while stack and stack[-1].end <= site.start:
                stack.pop()
            (stack[-1].inner if stack else self.roots).append(site)
            stack.append(site)

    def text(self, start, end):
        text = self.bytes[start:end]
        for (low, high), (_, *mutants) in self.consts.items():
            if start <= low and high <= end and any(it.state == "in" for it in mutants):
                text = text[: low - start] + b" " * (high - low) + text[high - start :]
        return text.decode()

    def keep_const(self, name):
        """A function that constants call stays as it is, without its mutants."""
        kept = [it for it in self.consts.values() if it[0] == name]
        left = [it for _, *mutants in kept for it in mutants if it.state == "in"]
        for mutant in left:
            mutant.leave("single", "it stands in a function that constants call")
        return len(left)

    def written(self):
        """The file with its mutants, and of which site or mutant each piece is."""
        pieces = []
        self.write(0, len(self.bytes), self.roots, None, pieces)
        self.spans, at = [], 0
        for text, owners in pieces:
            size = len(text.encode())
            self.spans.append((at, at + size, owners))
            at += size
        return "".join(text for text, _ in pieces)

    def write(self, start, end, sites, owners, pieces):
        owners = owners or ()
        for site in sites:
            if site.start < start or end < site.end:
                continue
            if start < site.start:
                pieces.append((self.text(start, site.start), owners))
            if site.live():
                self.write_site(site, owners + (site,), pieces)
            else:
                self.write(site.start, site.end, site.inner, owners, pieces)
            start = site.end
        if start < end:
            pieces.append((self.text(start, end), owners))

    def write_site(self, site, owners, pieces):
        def put(text, mutant=None):
            pieces.append((text, owners + ((mutant,) if mutant else ())))

        def inner(start, end, mutant=None):
            self.write(start, end, site.inner, owners + ((mutant,) if mutant else ()), pieces)

        def choose(each, otherwise):
            """`if on(1) { … } else if on(2) { … } else { … }`"""
            for mutant in site.live():
                put(f"if crate::mutant::on({mutant.number}) {{ ")
                each(mutant)
                put(" } else ")
            put("{ ")
            otherwise()
            put(" }")

        getattr(self, "write_" + site.kind)(site, put, inner, choose)

    def write_body(self, site, put, inner, choose):
        either = "-> impl Iterator" in self.text(site.node.start_byte, site.start)
        put("{ ")
        real = "crate::mutant::Either::Real("
        for place, mutant in enumerate(site.live()):
            value = mutant.replacement
            if either:
                # Each mutant may be of a type of its own.
                value = f"{real * place}crate::mutant::Either::Mutant({value}){')' * place}"
            put(f"if crate::mutant::on({mutant.number}) {{ ")
            put(f"return {value};", mutant)
            put(" } ")
        wraps = len(site.live()) if either else 0
        put(real * wraps)
        inner(site.start, site.end)
        put(")" * wraps + " }")

    def write_guard(self, site, put, inner, choose):
        put("(")
        choose(lambda it: put(it.replacement, it), lambda: inner(site.start, site.end))
        put(")")

    def write_arm(self, site, put, inner, choose):
        guard = site.node.child_by_field_name("condition")
        off = " && ".join(f"!crate::mutant::on({it.number})" for it in site.live())
        if guard is None:
            inner(site.start, site.end)
            put(f" if {off}")
        else:
            inner(site.start, guard.start_byte)
            put(f"{off} && (")
            inner(guard.start_byte, guard.end_byte)
            put(")")
            inner(guard.end_byte, site.end)

    def write_field(self, site, put, inner, choose):
        node = site.node
        literal = node.parent.parent
        base = next(it for it in node.parent.children if it.type == "base_field_initializer")
        base = self.text(base.children[-1].start_byte, base.end_byte)
        name = literal.child_by_field_name("name")
        name = self.text(name.start_byte, name.end_byte)
        if node.type == "shorthand_field_initializer":
            field, value = self.text(node.start_byte, node.end_byte), None
        else:
            field = node.child_by_field_name("field")
            value = node.child_by_field_name("value")
            field = self.text(field.start_byte, field.end_byte)
        put(f"{field}: ")
        real = (lambda: inner(value.start_byte, value.end_byte)) if value else lambda: put(field)
        whole = f"{{ let base: {name} = {base}; base }}" if "(" in base else f"({base})"
        choose(lambda it: put(f"{whole}.{field}", it), real)

    def write_operator(self, site, put, inner, choose):
        node = site.node
        if node.type == "unary_expression":
            operand = node.children[-1]
            sign = self.text(node.start_byte, operand.start_byte).strip()
            extent = (operand.start_byte, operand.end_byte)
            if site.form == 0:
                put("(match (")
                inner(*extent)
                put(") { v => ")
                choose(lambda it: put("v", it), lambda: put(f"{sign}v"))
                put(" })")
            else:
                def plain(sign, mutant=None):
                    put(sign + "(", mutant)
                    inner(*extent, mutant)
                    put(")", mutant)
                put("(")
                choose(lambda it: plain("", it), lambda: plain(sign))
                put(")")
            return
        left = node.child_by_field_name("left")
        right = node.child_by_field_name("right")
        operator = node.child_by_field_name("operator")
        sign = self.text(operator.start_byte, operator.end_byte)
        left, right = (left.start_byte, left.end_byte), (right.start_byte, right.end_byte)
        assigns = node.type == "compound_assignment_expr"

        def plain(sign, mutant=None):
            put("(", mutant)
            inner(*left, mutant)
            put(f" {sign} ", mutant)
            inner(*right, mutant)
            put(")", mutant)

        if site.form == 1:
            put("(")
            choose(lambda it: plain(it.replacement, it), lambda: plain(sign))
            put(")")
        elif assigns:
            def assign(sign, mutant=None):
                inner(*left, mutant)
                put(f" {sign} r", mutant)
            put("(match (")
            inner(*right)
            put(") { r => ")
            choose(lambda it: assign(it.replacement, it), lambda: assign(sign))
            put(" })")
        elif sign in LAZY:
            # The right side is written once: `a && b` asks for it when `a` is true, and `a || b` when
            # `a` is not; the mutant is the other one.
            [mutant] = site.live()
            on = f"crate::mutant::on({mutant.number})"
            put("(match (")
            inner(*left)
            put(f") {{ l => if l {'!=' if sign == '&&' else '=='} {on} {{ ")
            inner(*right)
            put(" } else { l } })")
        else:
            by = "&" if sign in COMPARISONS else ""
            of = "*" if sign in COMPARISONS else ""
            put(f"(match ({by}(")
            inner(*left)
            put(f"), {by}(")
            inner(*right)
            put(")) { (l, r) => ")
            choose(lambda it: put(f"{of}l {it.replacement} {of}r", it),
                   lambda: put(f"{of}l {sign} {of}r"))
            put(" })")

    def blame(self, start, end):
        """The owners of the piece that an error points at, the innermost last."""
        for low, high, owners in self.spans:
            if low <= start < high or (start == end == high):
                return owners
        return ()


def stays_whole(arm):
    """Whether a match without this arm still covers everything: cargo-mutants takes `_ if …` for an
    arm that does."""
    def guard(it):
        return it.child_by_field_name("pattern").child_by_field_name("condition")

    def covers(it):
        pattern = it.child_by_field_name("pattern")
        text = pattern.text.decode()
        return text == "_" or (text.isidentifier() and text[0].islower())

    if guard(arm):
        return True
    others = (it for it in arm.parent.children if it.type == "match_arm" and it != arm)
    return any(covers(it) for it in others if not guard(it))


def in_let_chain(root, start):
    node = root.descendant_for_byte_range(start, start)
    return node.parent.type == "let_chain"


def ancestors(node):
    while node.parent:
        node = node.parent
        yield node


def errors(tree, command):
    """What the compiler refuses: file, first and last byte, code and text of each error."""
    run = subprocess.run(command, cwd=tree, capture_output=True, text=True)
    found, failed = [], run.returncode != 0
    for line in run.stdout.splitlines():
        message = json.loads(line)
        if message["reason"] != "compiler-message" or message["message"]["level"] != "error":
            continue
        message = message["message"]
        spans = sorted(message["spans"], key=lambda it: not it["is_primary"])
        places = []
        for span in spans:
            while span and not span["file_name"].startswith("src/"):
                span = (span.get("expansion") or {}).get("span")
            if span:
                places.append((span["file_name"], span["byte_start"], span["byte_end"]))
        code = (message["code"] or {}).get("code", "")
        found.append((places, code, message["message"]))
    if failed and not found:
        sys.exit(run.stderr)
    return found


def take_out(sources, found):
    """Takes out what the errors point at, or writes it in its next form. Answers how much."""
    changed, kept = set(), 0
    for places, code, text in found:
        if code == "E0015":
            name = text.split("`")[1].rsplit("::", 1)[-1]
            if taken := sum(it.keep_const(name) for it in sources.values()):
                kept += taken
                continue
        for file, start, end in places:
            if file not in sources:
                continue
            owners = sources[file].blame(start, end)
            if not owners:
                continue
            owner = owners[-1]
            if isinstance(owner, Mutant):
                if owner.state == "in" and owner not in changed:
                    owner.leave("unviable", f"{code} {text}")
                    changed.add(owner)
                break
            # What is around the mutants' own text is the fault of how they are written.
            if owner in changed or not owner.live():
                break
            changed.add(owner)
            if owner.kind == "operator" and owner.form == 0:
                owner.form = 1
            elif leaks := [it for it in owner.live() if code == "E0271" and "leak(" in it.replacement]:
                # It gives `&mut` to those who want `&`, by whatever way it is written.
                for mutant in leaks:
                    mutant.leave("unviable", f"{code} {text}")
            else:
                for mutant in owner.live():
                    mutant.leave("single", f"{code} {text}")
            break
    return len(changed) + kept


def main():
    tree, listed, out = map(Path, sys.argv[1:])
    command = ["cargo", "check", "--lib", "--message-format=json", "--quiet"]
    mutants = [Mutant(number, it) for number, it in enumerate(json.loads(listed.read_text()), 1)]
    by_file = defaultdict(list)
    for mutant in mutants:
        by_file[mutant.file].append(mutant)
    sources = {}
    for file, those in by_file.items():
        source = sources[file] = Source(tree / file, (tree / file).read_bytes())
        for mutant in those:
            mutant.see(source.bytes)
            source.add(mutant)
        source.nest()
    (tree / "src/mutant.rs").write_text(RUNTIME.read_text())
    root = tree / "src/lib.rs"
    root.write_text(root.read_text().replace("pub mod base;", "pub mod mutant;\npub mod base;", 1))
    for turn in range(1, 40):
        for source in sources.values():
            source.path.write_text(source.written())
        found = errors(tree, command)
        print(f"turn {turn}: {len(found)} errors", flush=True)
        if not found:
            break
        if not take_out(sources, found):
            sys.exit("nothing to take out for: " + json.dumps(found, indent=1))
    out.write_text("".join(json.dumps(it.record()) + "\n" for it in mutants))
    print(dict(Counter(it.state for it in mutants)))


main()

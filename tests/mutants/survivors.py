"""Writes tests/mutants.md: what the last run has found, and what survives, by reason and by function.

    survivors.py OUT TREE [NOTE] >tests/mutants.md

NOTE is one more point of the head. TREE is what was judged, as `git rev-parse --short HEAD` names it.

Those that somebody has looked at by themselves stand in reasons.txt, each with its reason. What is left
goes by function: the reasons for that stand here, a few words and the functions that they are said of.
What has none is listed under the last heading.
"""

import json
import os
import re
import sys
from collections import defaultdict
from pathlib import Path

OUT, TREE = Path(sys.argv[1]), sys.argv[2]
NOTE = "".join(f"- {it}\n" for it in sys.argv[3:])

HEAD = """# Mutants that survive

What `tests/mutants.sh` finds, and why it may stay. The aim is that at most 5 % of the viable mutants
survive. {aim}

## The last run

Tree {tree}: unit tests of the library and {seeds} seeds of both simulators, then, of what survives those,
the tests of `tests/` that start servers. Each mutant has the tests that come by it; those that only prove
the simulator (the same trace twice, a finding that is shrunk) do not count.

| room | mutants | do not compile | viable | not judged | killed by the library | killed by servers | survive | of those judged |
|---|---:|---:|---:|---:|---:|---:|---:|---:|
{rows}

- Not judged are those that stand in constants or types, which no switch can choose at run time
  ({single}), and those that the time did not reach.
- Of {left} that survive the library, servers were asked about {asked}; the others count as survivors.
{note}"""

def reasons_of_single_ones():
    """What to say of each mutant that is named in reasons.txt, by its name without its place."""
    lines = Path(__file__).with_name("reasons.txt").read_text().splitlines()
    pairs = (it.rsplit(" | ", 1) for it in lines if it and not it.startswith("#"))
    return {name: why for name, why in pairs}


REASONS = [
    ("Words for people", "log lines, labels and explanations that nothing goes by",
     r"tell_not_applicable|fmt::Display|tell_panics|LinkPhase::as_str|Stage::name|note_above"
     r"|note_synced|Explanation::|Which<'_>::name|FollowerStatus::(address|flags|held_back)"
     r"|Snapshot::progress|eta_ms|ScriptHost.*::log|ReplicaSet::waits"),
    ("Measuring", "latencies, counters, the slow log and what PROXY LAST tells: slowlog.rs, "
     "last.rs, observability.rs see them, the unit tests and the simulator do not",
     r"Stopwatch::|timing\.rs|note_step|LastReply::|Caller::saw |Caller::note\b|log_if_slow|tag\.rs"
     r"|Caller::put_tag|Blocked::is_work"),
    ("Room and freeing", "how large a buffer is, when it is given back, when something is freed and "
     "by whom: the same bytes at another price",
     r"is_due_for_trim|Window<S>::forget|StreamReader::push|return_output|Replies::(sent|take_spent)"
     r"|take_spent|Unread::|Lent::|Connection::room|has_much_to_send|MasterGuard<'_>>::drop"
     r"|SnapshotReader>::drop|free_ended_walks|has_ended_walks|SnapshotReader::kept_bytes"
     r"|Caller::enqueue"),
    ("When to look at the clock", "an end of a budget a little earlier or later",
     r"BudgetClock::|ApplyBudget::|repeat_some|come_near|Rate::|wait_to_(read|write)"
     r"|ReplicaSet::catch_up"),
    ("Which of two that will do", "either member keeps the promise",
     r"Look<'_, M>::pick|less_busy|plan_read|best_candidate|throw"),
    ("What is long", "an estimate: it decides where the work is done, not what it does",
     r"is_long|copies_long|batch\.rs.*elements|note_copies|::look\b|^look|is_queue_too_long"
     r"|append_as_sent|runs_within|lock_master_for|busy_with_script|whose_lock|in_the_way|serve_here"
     r"|tick\b|note_long|Caller::script\b|applies_at_once|takes_reads|goes_on"),
    ("Calls of tasks", "feeds, links, files and workers' turns are tasks of a running server; the "
     "unit tests and the simulator do their work by hand",
     r"FeedSignal::|ReplicaSet::push|note_work|^feed$|start_feed|apply_long_apart|TurnApplier::"
     r"|tell_wire|tell_file|apply_after_batch|apply_short|Wire::gather|has_any"),
    ("Whole servers only", "forwarding, publishing, scripts, a link to a remote master, a file that "
     "is synced before replies leave: tests of tests/ are what looks at these, and have not been "
     "asked for each",
     r"forward\.rs|publish\.rs|script\.rs|script_host\.rs|script_call\.rs|durable\.rs|is_http"
     r"|remote_master\.rs|job_wrote|Blocked::unblock_remote|once\.rs|Caller::filled|^filled"),
]


def function_of(name):
    what = name.split(": ", 1)[1]
    if " in " in what:
        return what.rsplit(" in ", 1)[1]
    return re.split(r" -> | with ", what.removeprefix("replace "))[0]


def what_of(name):
    """Where it is in its file, and what it does, without the function's name."""
    place, what = name.split(": ", 1)
    line = ":".join(place.split(":")[1:])
    what = what.rsplit(" in ", 1)[0] if " in " in what else "with " + what.rsplit(" with ", 1)[-1]
    return f"{line} {' '.join(what.split())}"


def row_of(name, mutants, verdicts, servers):
    states = [it["state"] for it in mutants]
    judged = [it["number"] for it in mutants if it["number"] in verdicts]
    survived = [it for it in judged if verdicts[it]["verdict"] == "survived"]
    by_servers = sum(it in servers and servers[it]["verdict"] == "killed" for it in survived)
    left, viable = len(survived) - by_servers, len(mutants) - states.count("unviable")
    cells = [name, len(mutants), states.count("unviable"), viable, viable - len(judged),
             len(judged) - len(survived), by_servers, left, f"{left / max(1, len(judged)):.1%}"]
    return "| " + " | ".join(map(str, cells)) + " |", left / max(1, len(judged))


def tell_head(verdicts, servers):
    mutants = [json.loads(it) for it in (OUT / "mutants.json").read_text().splitlines()]
    rooms = list(dict.fromkeys(it["room"] for it in mutants))
    rows = [row_of(room, [it for it in mutants if it["room"] == room], verdicts, servers)
            for room in rooms]
    rows.append(row_of("all", mutants, verdicts, servers))
    survived = [it for it in verdicts.values() if it["verdict"] == "survived"]
    is_reached = all(share <= 0.05 for _, share in rows)
    print(HEAD.format(
        aim="It is reached." if is_reached else "**It is not reached yet**: the table says how far it is.",
        note=NOTE, tree=TREE, seeds=os.environ.get("SIM_SEEDS", "24"), rows="\n".join(it for it, _ in rows),
        single=sum(it["state"] == "single" for it in mutants), left=len(survived),
        asked=sum(it["number"] in servers for it in survived)))


def main():
    read = lambda name: [json.loads(it) for it in (OUT / name).read_text().splitlines()]
    servers = {it["number"]: it for it in read("of-servers.json")} if (
        OUT / "of-servers.json").exists() else {}
    verdicts = {it["number"]: it for it in read("verdicts.json")}
    tell_head(verdicts, servers)
    survivors = [it for it in verdicts.values() if it["verdict"] == "survived"
                 and servers.get(it["number"], it)["verdict"] == "survived"]
    survivors.sort(key=lambda it: it["number"])
    groups, single = defaultdict(lambda: defaultdict(list)), defaultdict(list)
    reasons_of = reasons_of_single_ones()
    for it in survivors:
        place, what = it["name"].removeprefix("src/").split(": ", 1)
        if why := reasons_of.get(f"{place.split(':')[0]}: {what}"):
            single[f"{place.split(':')[0]} `{what}`: {why}"].append(place.split(":", 1)[1])
            continue
        file = it["name"].split(":", 1)[0].removeprefix("src/")
        function = function_of(it["name"])
        match = next((at for at, (_, _, pattern) in enumerate(REASONS)
                      if re.search(pattern, function) or re.search(pattern, f"{file} {function} ")),
                     len(REASONS))
        groups[match][f"{file} `{function}`"].append(what_of(it["name"]))
    print(f"\n## Looked at one by one ({sum(map(len, single.values()))})\n")
    for text, places in single.items():
        print(f"- {text} ({', '.join(places)})")
    reasons = [*REASONS, ("Without a reason", "nobody has looked at these, or a test is missing", "")]
    for at, (title, why, _) in enumerate(reasons):
        count = sum(map(len, groups[at].values()))
        if count:
            print(f"\n## {title} ({count})\n\n{why[0].upper()}{why[1:]}.\n")
            for function, those in groups[at].items():
                print(f"- {function}: {'; '.join(those)}")


main()

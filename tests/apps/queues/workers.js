// What the Node programs here share: worker processes that end with their parent, and a journal
// that no server has a part in.

import { spawn } from "node:child_process";
import { appendFileSync, existsSync, mkdtempSync, openSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

// What must happen is given so long.
export const PATIENCE_MS = 1000 * Number(process.env.QUEUES_PATIENCE_SECONDS ?? 30);
// Of the end of what a worker has written, when something goes wrong.
const SHOWN_CHARS = 3000;

const started = [];

export const sleep = (ms) => new Promise((done) => setTimeout(done, ms));

// Lines that many processes append to one file, in the order in which they happened.
export class Journal {
  constructor(directory) {
    this.path = join(directory, "journal");
  }

  note(...words) {
    // One write to a file that is open for appending is not torn apart.
    appendFileSync(this.path, JSON.stringify([Date.now(), process.pid, ...words]) + "\n");
  }

  // The lines that begin with these words: when, which process, and the words behind these.
  find(...first) {
    if (!existsSync(this.path)) return [];
    const lines = readFileSync(this.path, "utf8").trimEnd().split("\n").filter(Boolean);
    const isFound = (it) => first.every((word, at) => it[at + 2] === word);
    const found = lines.map((it) => JSON.parse(it)).filter(isFound);
    return found.map(([when, pid, ...words]) => ({ when, pid, words: words.slice(first.length) }));
  }
}

// A directory that is removed at the end.
export function ownDirectory() {
  const path = mkdtempSync(join(tmpdir(), "entourage-queues-"));
  process.on("exit", (status) => {
    started.forEach((it) => it.kill("SIGKILL"));
    const log = join(path, "log");
    if (status !== 0 && existsSync(log)) {
      console.error(`--- the workers' log ends:\n${readFileSync(log, "utf8").slice(-SHOWN_CHARS)}`);
    }
    rmSync(path, { recursive: true, force: true });
  });
  return path;
}

// This program again, with these arguments; it is killed with its parent.
export function startSelf(directory, ...args) {
  const log = openSync(join(directory, "log"), "a");
  const words = ["--pdeathsig", "KILL", process.execPath, process.argv[1], ...args];
  const child = spawn("setpriv", words, { stdio: ["ignore", log, log] });
  child.over = new Promise((done) => child.on("exit", (code, signal) => done(code ?? signal)));
  started.push(child);
  return child;
}

// Looks again and again until there is something to see.
export async function until(what, look) {
  const begun = Date.now();
  for (;;) {
    const seen = await look();
    if (seen) return seen;
    if (PATIENCE_MS < Date.now() - begun) throw new Error(`waited ${PATIENCE_MS} ms for ${what}`);
    await sleep(20);
  }
}

// Runs what the command line names, as `program.js URL [what ...]`; without a name, `main`.
export async function run(parts) {
  const [url, what = "main", ...rest] = process.argv.slice(2);
  try {
    await parts[what](url, ...rest);
    process.exit(0);
  } catch (error) {
    console.error(error);
    process.exit(1);
  }
}

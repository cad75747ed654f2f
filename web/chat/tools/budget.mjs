// Says what a first visit loads, gzipped, and fails above the budget. What the page loads later, when it is wanted, is listed too.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';

const budget = 200 * 1024;
const dist = process.env.ACKBOX_CHAT_DIST ?? join(import.meta.dirname, '..', 'dist');
const index = readFileSync(join(dist, 'index.html'), 'utf8');
const first = new Set(['index.html']);
for (const [, file] of index.matchAll(/(?:src|href)="\/([^"]+)"/g)) add(file);
if (first.size < 3) throw new Error('index.html names no script and style');

/** Adds a file, and the scripts that it cannot begin without. */
function add(file) {
  if (first.has(file)) return;
  first.add(file);
  if (!file.endsWith('.js')) return;
  // import"./x.js" and from"./x.js"; an import("./x.js") is later.
  for (const [, other] of readFileSync(join(dist, file), 'utf8').matchAll(/(?:\bimport|\bfrom)\s*["'`]\.\/([^"'`]+\.js)["'`]/g)) add(`assets/${other}`);
}

let total = 0;
const later = readdirSync(join(dist, 'assets')).map((name) => `assets/${name}`).filter((file) => !first.has(file));
for (const file of first) total += say(file);
console.log(`${String(total).padStart(8)}  first load, gzipped; the budget is ${budget}`);
for (const file of later) say(file);
if (total > budget) process.exit(1);

function say(file) {
  const size = gzipSync(readFileSync(join(dist, file))).length;
  console.log(`${String(size).padStart(8)}  ${file}`);
  return size;
}

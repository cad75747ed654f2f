// Says what a first visit loads, gzipped, and fails above the budget. A first visit is the page, its script and
// style, what they load at once, and the overview with its charts; the other pages are loaded when they are opened.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';

const budget = 250 * 1024;
const dist = process.env.ACKBOX_ADMIN_DIST ?? join(import.meta.dirname, '..', 'dist');
const first = new Set(['index.html', 'icon.svg']);
for (const [, name] of readFileSync(join(dist, 'index.html'), 'utf8').matchAll(/"\/admin\/(assets\/[^"]+)"/g)) follow(name);
for (const name of readdirSync(join(dist, 'assets'))) if (/^Overview-/.test(name)) follow(`assets/${name}`);

/** Adds a file and what it imports statically. */
function follow(name) {
  if (first.has(name)) return;
  first.add(name);
  if (!name.endsWith('.js')) return;
  for (const [, other] of readFileSync(join(dist, name), 'utf8').matchAll(/(?:from|import)\s*["']\.\/([^"']+)["']/g)) follow(`assets/${other}`);
}

let total = 0;
for (const file of ['index.html', 'icon.svg', ...readdirSync(join(dist, 'assets')).map((name) => `assets/${name}`)]) {
  const size = gzipSync(readFileSync(join(dist, file))).length;
  if (first.has(file)) total += size;
  console.log(`${String(size).padStart(8)}  ${first.has(file) ? 'first' : 'later'}  ${file}`);
}
console.log(`${String(total).padStart(8)}  first load, gzipped; the budget is ${budget}`);
if (![...first].some((name) => /Overview-.*\.js$/.test(name))) throw new Error('the overview is not a file of its own: what loads first is not known');
if (total > budget) process.exit(1);

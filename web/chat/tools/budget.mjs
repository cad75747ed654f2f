// Says what a first visit loads, gzipped, and fails above the budget.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';

const budget = 200 * 1024;
const dist = process.env.ACKBOX_CHAT_DIST ?? join(import.meta.dirname, '..', 'dist');
const files = ['index.html', 'icon.svg', ...readdirSync(join(dist, 'assets')).map((name) => `assets/${name}`)];
let total = 0;
for (const file of files) {
  const size = gzipSync(readFileSync(join(dist, file))).length;
  total += size;
  console.log(`${String(size).padStart(8)}  ${file}`);
}
console.log(`${String(total).padStart(8)}  first load, gzipped; the budget is ${budget}`);
if (total > budget) process.exit(1);

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { realServer } from './real.js';

interface Generator {
  describe(origin: string): Promise<{ rest: unknown; push: unknown }>;
  generate(descriptions: unknown): Promise<string>;
}

test('the generated types are those of the server (else: npm run generate)', async (t) => {
  const root = join(import.meta.dirname, '../..');
  const server = await realServer(t);
  const generator = (await import(pathToFileURL(join(root, 'tools/generate.mjs')).href)) as Generator;
  const fresh = await generator.generate(await generator.describe(server.url));
  assert.ok(fresh === readFileSync(join(root, 'src/schema.gen.ts'), 'utf8'), 'src/schema.gen.ts is stale: npm run generate -- http://127.0.0.1:8080');
});

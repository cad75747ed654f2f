// Makes the tests of a workspace ready to run: JavaScript for their TypeScript, file by file and unchecked, which takes a
// second (`npm run check` checks types), and OUT/part-1.js to OUT/part-N.js, which import every N-th test file each. Those
// of one part share a process, a browser and servers.
//   node emit.mjs ROOT OUT N FOLDER|FILE...        OUT has the layout of ROOT
import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import ts from 'typescript';

const [root, out, parts, ...from] = process.argv.slice(2);
const compilerOptions = { target: ts.ScriptTarget.ES2022, module: ts.ModuleKind.ESNext, verbatimModuleSyntax: true, isolatedModules: true };
const files = from.flatMap((name) => (statSync(name).isDirectory() ? readdirSync(name).map((file) => join(name, file)) : [name]));
const tests = [];
for (const path of files.filter((file) => file.endsWith('.ts'))) {
  const name = relative(root, path).replace(/\.ts$/, '.js');
  mkdirSync(dirname(join(out, name)), { recursive: true });
  writeFileSync(join(out, name), ts.transpileModule(readFileSync(path, 'utf8'), { fileName: path, compilerOptions }).outputText);
  if (name.endsWith('.test.js')) tests.push(`import './${name}';\n`);
}
for (let part = 0; part < parts; part++) writeFileSync(join(out, `part-${part + 1}.js`), tests.filter((_, i) => i % parts === part).join(''));

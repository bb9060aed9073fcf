// Holds Kubernetes objects against the types of Kubernetes and of the Prometheus operator.
//
// Reads an array of objects (JSON) on standard input, and writes an array of faults, such as
// "Deployment/x /spec/replicas: must be integer". The validators of kubernetes-models find what is
// missing and what has a wrong type; at fields that they do not know they just never look. So they
// are given a view of the object that notes what is looked at: the rest is unknown to Kubernetes.
import { readFileSync } from "node:fs";

const PACKAGES = ["kubernetes-models", "@kubernetes-models/prometheus-operator"];

async function modelOf({ apiVersion, kind }) {
  for (const name of PACKAGES) {
    const models = await import(`${name}/${apiVersion}`).catch(() => ({}));
    if (models[kind]) return models[kind];
  }
  return null;
}

function watched(value, path, seen) {
  if (value === null || typeof value !== "object") return value;
  const copy = Array.isArray(value) ? [] : {};
  for (const key of Object.keys(value)) copy[key] = watched(value[key], `${path}/${key}`, seen);
  return new Proxy(copy, {
    get(target, key) {
      seen.add(`${path}/${String(key)}`);
      return target[key];
    },
  });
}

function unseen(value, path, seen) {
  if (value === null || typeof value !== "object") return [];
  return Object.keys(value).flatMap((key) => {
    const place = `${path}/${key}`;
    return seen.has(place) ? unseen(value[key], place, seen) : [`${place}: unknown field`];
  });
}

async function faultsOf(object) {
  const model = await modelOf(object);
  if (!model) return [`no such kind: ${object.apiVersion} ${object.kind}`];
  const seen = new Set();
  const faults = [];
  try {
    model.prototype.validate.call(watched(object, "", seen));
  } catch (error) {
    if (!error.errors) throw error;
    for (const { instancePath, message } of error.errors) faults.push(`${instancePath}: ${message}`);
  }
  return [...faults, ...unseen(object, "", seen)];
}

const found = [];
for (const object of JSON.parse(readFileSync(0, "utf8"))) {
  for (const fault of await faultsOf(object))
    found.push(`${object.kind}/${object.metadata?.name} ${fault}`);
}
console.log(JSON.stringify(found));

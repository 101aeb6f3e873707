// The configuration: one JSON file, read once, every key checked.

import { readFileSync } from 'node:fs';
import { isAbsolute } from 'node:path';
import { fileURLToPath } from 'node:url';

import { LEVELS } from './log.mjs';
import { Problem } from './problem.mjs';

const MEBIBYTE = 1024 * 1024;

// key -> its default (undefined: must be given) and a check that returns the value to use, or
// throws a plain Error with the reason.
const KEYS = {
  listen: { preset: '127.0.0.1', check: address },
  port: { preset: 4000, check: integer(1, 65535) },
  path: { preset: '/admin/gql', check: urlPath },
  managers: { preset: undefined, check: managers },
  supergraph: { preset: besideProgram('supergraph.graphql'), check: absolutePath },
  log_level: { preset: 'info', check: oneOf(LEVELS) },
  // Seconds for one request to the manager. Some mutations rescan an image registry: minutes.
  request_timeout: { preset: 600, check: integer(1, 86400) },
  // Bytes of one request, by HTTP or in one websocket message. No files come this way.
  max_body: { preset: MEBIBYTE, check: integer(1024, 1024 * MEBIBYTE) },
  // Of one document. The largest of the web UI has 896 tokens and 12 levels.
  max_tokens: { preset: 10_000, check: integer(100, 1_000_000) },
  max_depth: { preset: 50, check: integer(10, 500) },
};

const PROBES = ['/healthcheck', '/readiness'];

/** Read and check a configuration file. Throws a Problem that names file, key, reason and cure. */
export function readConfig(file) {
  const given = parse(file, read(file, 'configuration'));
  for (const key of Object.keys(given)) {
    if (!Object.hasOwn(KEYS, key)) {
      const known = Object.keys(KEYS).join(', ');
      throw new Problem(
        `${file}: unknown key "${key}"`,
        `remove or correct it; known keys: ${known}`,
      );
    }
  }
  const config = {};
  for (const [key, { preset, check }] of Object.entries(KEYS)) {
    config[key] = checked(file, key, given[key] ?? preset, check);
  }
  return Object.freeze(config);
}

/** Text of a file, or a Problem. `what` says what the file is. */
export function read(file, what) {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    const missing = error.code === 'ENOENT';
    const reason = missing ? 'it does not exist' : error.message;
    const hint = missing
      ? 'check the name of the file'
      : 'the service needs to read it: check its owner and mode';
    throw new Problem(`${file}: cannot read the ${what}: ${reason}`, hint);
  }
}

function parse(file, text) {
  let value;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new Problem(`${file}: not JSON: ${error.message}`, 'correct the file at that place');
  }
  if (value === null || typeof value !== 'object' || Array.isArray(value)) {
    throw new Problem(
      `${file}: must hold one JSON object`,
      'write { "managers": ["http://127.0.0.1:8081"] }',
    );
  }
  return value;
}

function checked(file, key, value, check) {
  if (value === undefined) {
    throw new Problem(
      `${file}: key "${key}" is missing`,
      `add "${key}"; for example "managers": ["http://127.0.0.1:8081"]`,
    );
  }
  try {
    return check(value);
  } catch (error) {
    throw new Problem(
      `${file}: key "${key}": ${error.message}, it is ${JSON.stringify(value)}`,
      `correct "${key}"`,
    );
  }
}

function besideProgram(name) {
  return fileURLToPath(new URL(name, import.meta.url));
}

function string(value) {
  if (typeof value !== 'string' || value === '') throw new Error('must be a text');
  return value;
}

function address(value) {
  if (/[\s/]/.test(string(value))) throw new Error('must be an IP address or a host name');
  return value;
}

function integer(least, most) {
  return (value) => {
    if (!Number.isInteger(value) || value < least || value > most) {
      throw new Error(`must be a whole number from ${least} to ${most}`);
    }
    return value;
  };
}

function oneOf(allowed) {
  return (value) => {
    if (!allowed.includes(value)) throw new Error(`must be one of ${allowed.join(', ')}`);
    return value;
  };
}

function urlPath(value) {
  if (!/^\/[\w./-]*$/.test(string(value))) throw new Error('must be a URL path such as /admin/gql');
  if (PROBES.includes(value))
    throw new Error('must differ from the probes /healthcheck and /readiness');
  return value;
}

function absolutePath(value) {
  if (!isAbsolute(string(value))) throw new Error('must be an absolute path');
  return value;
}

function managers(value) {
  if (!Array.isArray(value) || value.length === 0)
    throw new Error('must be a list of at least one URL');
  return value.map(baseUrl);
}

// Without a slash at the end, so that a path can be put behind it.
function baseUrl(value) {
  const url = URL.canParse(string(value)) ? new URL(value) : undefined;
  if (!url || !['http:', 'https:'].includes(url.protocol)) {
    throw new Error('every manager must be a URL such as http://127.0.0.1:8081');
  }
  if (url.username || url.password || url.search || url.hash) {
    throw new Error('a manager URL must hold no user, password, query or fragment');
  }
  return url.origin + url.pathname.replace(/\/+$/, '');
}

// Starts the bundled gateway as a process and talks to it. GATEWAY_DIR is where the bundle is.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const BUILT = process.env.GATEWAY_DIR;
const TIMEOUT = 20_000; // milliseconds for any one thing to happen

/** Resolve as soon as `condition()` is true; asked again at every turn of the event loop. */
export async function until(condition, what) {
  const end = performance.now() + TIMEOUT;
  for (;;) {
    const value = await condition();
    if (value) return value;
    if (performance.now() > end) throw new Error(`not within ${TIMEOUT} ms: ${what}`);
    await new Promise((resolve) => setImmediate(resolve));
  }
}

export async function freePort() {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address();
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** Write a configuration (an object, or raw text) and return its path. */
export function configFile(content) {
  const file = join(mkdtempSync(join(tmpdir(), 'gateway-test-')), 'gateway.json');
  writeFileSync(file, typeof content === 'string' ? content : JSON.stringify(content));
  return file;
}

/** Run the gateway with arguments, Node with its own. `ended` resolves to its exit status. */
export function launch(args, ofNode = []) {
  const child = spawn(process.execPath, [...ofNode, join(BUILT, 'gateway.mjs'), ...args], {
    env: {},
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const gateway = { child, output: '', log: '' };
  child.stdout.on('data', (chunk) => (gateway.output += chunk));
  child.stderr.on('data', (chunk) => (gateway.log += chunk));
  gateway.ended = once(child, 'close').then(([code]) => code);
  return gateway;
}

/** A gateway that listens in front of the given managers. */
export async function startGateway(managers, settings = {}, ofNode = []) {
  const port = await freePort();
  const file = configFile({ managers, port, log_level: 'debug', ...settings });
  const gateway = launch([file], ofNode);
  gateway.port = port;
  gateway.url = `http://127.0.0.1:${port}/admin/gql`;
  gateway.stop = () => {
    gateway.child.kill('SIGTERM');
    return gateway.ended;
  };
  await until(() => {
    if (gateway.child.exitCode !== null) throw new Error(`it ended: ${gateway.log}`);
    return gateway.log.includes('event=listening');
  }, 'the gateway listens');
  return gateway;
}

/** One GraphQL request by HTTP; resolves to the response. */
export function post(gateway, query, headers = {}) {
  return fetch(gateway.url, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify({ query }),
  });
}

/** The JSON a query is answered with, asked with a valid token. */
export async function ask(gateway, query, headers = { 'x-backendai-token': 'good-anna' }) {
  return (await post(gateway, query, headers)).json();
}

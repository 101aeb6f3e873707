import assert from 'node:assert/strict';
import { after, before, beforeEach, test } from 'node:test';

import { createClient } from 'graphql-ws';
import { WebSocket } from 'ws';

import { post, startGateway, until } from './harness.mjs';
import { startUpstream } from './upstream.mjs';

const TOKEN = { 'x-backendai-token': 'good-anna' };

let manager;
let gateway;

before(async () => {
  manager = await startUpstream();
  gateway = await startGateway([manager.url]);
});

after(async () => {
  await gateway.stop();
  await manager.stop();
});

beforeEach(() => {
  manager.handshakes.length = 0;
});

function connect(headers = TOKEN) {
  class Socket extends WebSocket {
    constructor(url, protocols) {
      super(url, protocols, { headers });
    }
  }
  const url = gateway.url.replace('http', 'ws');
  return createClient({ url, webSocketImpl: Socket, retryAttempts: 0 });
}

async function collect(results) {
  const all = [];
  for await (const result of results) all.push(result);
  return all;
}

async function firstEvent(query, headers = TOKEN) {
  const answer = await post(gateway, query, { ...headers, accept: '*/*' });
  return JSON.parse(/^data: (.+)$/m.exec(await answer.text())[1]);
}

const noneLeft = () => until(() => manager.sockets.size === 0, 'upstream websockets are closed');

test('a subscription that accepts anything is answered as server-sent events', async () => {
  const answer = await post(gateway, 'subscription { progress(steps: 3) }', {
    ...TOKEN,
    accept: '*/*',
  });
  assert.equal(answer.status, 200);
  assert.match(answer.headers.get('content-type'), /^text\/event-stream/);
  const data = (await answer.text()).match(/^data: .+$/gm).map((line) => JSON.parse(line.slice(6)));
  assert.deepEqual(
    data.map((item) => item.data.progress),
    [1, 2, 3],
  );
  await noneLeft();
});

test('a subscription by websocket delivers every value', async () => {
  const client = connect();
  const results = await collect(client.iterate({ query: 'subscription { progress(steps: 3) }' }));
  assert.deepEqual(
    results.map(({ data }) => data.progress),
    [1, 2, 3],
  );
  await noneLeft();
});

test('queries work by websocket too', async () => {
  const [result] = await collect(connect().iterate({ query: '{ whoami agentCount }' }));
  assert.deepEqual({ ...result.data }, { whoami: 'anna', agentCount: 2 });
});

test('the token and nothing else is in the handshake with the manager', async () => {
  const client = connect({
    ...TOKEN,
    cookie: 'AIOHTTP_SESSION=secret',
    'x-forwarded-for': '192.0.2.1',
  });
  await collect(client.iterate({ query: 'subscription { progress(steps: 1) }' }));
  const [{ path, headers }] = manager.handshakes;
  assert.equal(path, '/admin/gql/strawberry');
  assert.equal(headers['x-backendai-token'], 'good-anna');
  assert.equal(headers['x-forwarded-for'], '192.0.2.1');
  assert.equal(headers.cookie, undefined);
});

test('every subscription has a connection of its own', async () => {
  const client = connect();
  const running = [1, 2, 3].map(() =>
    client.iterate({ query: 'subscription { progress(steps: -1) }' }),
  );
  await Promise.all(running.map((results) => results.next()));
  assert.equal(manager.handshakes.length, 3);
  assert.equal(manager.sockets.size, 3);
  await running[0].return();
  await until(() => manager.sockets.size === 2, 'one connection is closed, two stay');
  await client.dispose();
  await noneLeft();
});

test('a client that leaves its event stream frees the connection', async () => {
  const leave = new AbortController();
  const answer = await fetch(gateway.url, {
    method: 'POST',
    headers: { ...TOKEN, 'content-type': 'application/json', accept: 'text/event-stream' },
    body: JSON.stringify({ query: 'subscription { progress(steps: -1) }' }),
    signal: leave.signal,
  });
  const reader = answer.body.getReader();
  await reader.read();
  await until(() => manager.sockets.size === 1, 'the upstream websocket is open');
  leave.abort();
  await noneLeft();
});

test('a refused handshake is an error the user can read', async () => {
  const bad = { 'x-backendai-token': 'bad' };
  const refused = /the manager closed the subscription at ws:.*401/;
  const { errors } = await firstEvent('subscription { progress(steps: 1) }', bad);
  assert.match(errors[0].message, refused);
  const query = 'subscription { progress(steps: 1) }';
  const [result] = await collect(connect(bad).iterate({ query }));
  assert.match(result.errors[0].message, refused);
});

test('what the manager says against a subscription comes through', async () => {
  const query = 'subscription { progress(steps: 0) }';
  const { errors } = await firstEvent(query);
  assert.equal(errors[0].message, 'no steps, said the manager');
  const [result] = await collect(connect().iterate({ query }));
  assert.equal(result.errors[0].message, 'no steps, said the manager');
  await noneLeft();
});

test('a manager that goes away ends its subscriptions, and only those', async () => {
  const client = connect();
  const query = 'subscription { progress(steps: -1) }';
  const results = client.iterate({ query });
  await results.next();
  const answer = await post(gateway, query, { ...TOKEN, accept: '*/*' });
  await until(() => manager.sockets.size === 2, 'both are open');
  for (const socket of manager.sockets) socket.terminate();
  assert.match(await answer.text(), /"message":"the manager closed the subscription at ws:/);
  const [result] = await collect(results);
  assert.match(result.errors[0].message, /the manager closed the subscription at ws:/);
  const [next] = await collect(client.iterate({ query: '{ ping }' }));
  assert.equal(next.data.ping, 'pong');
});

test('a faulty document is an error of that operation, the connection lives on', async () => {
  const client = connect();
  for (const query of [
    'subscription {',
    'subscription { nothing }',
    '{ __schema { types { name } } }',
  ]) {
    await assert.rejects(collect(client.iterate({ query })), (errors) => Array.isArray(errors));
  }
  const [result] = await collect(client.iterate({ query: '{ ping }' }));
  assert.equal(result.data.ping, 'pong');
});

test('a websocket on another path is refused', async () => {
  const socket = new WebSocket(`ws://127.0.0.1:${gateway.port}/elsewhere`, 'graphql-transport-ws');
  const error = await new Promise((resolve) => socket.once('error', resolve));
  assert.match(error.message, /404/);
});

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { ask, configFile, freePort, launch, post, startGateway, until } from './harness.mjs';
import { startUpstream } from './upstream.mjs';

const HALF_GRACE = 5000; // milliseconds: half of what the gateway gives running requests
const MANAGERS = ['http://127.0.0.1:8081'];

async function readiness(gateway) {
  const answer = await fetch(new URL('/readiness', gateway.url));
  return { status: answer.status, ...(await answer.json()) };
}

const FAULTS = [
  ['text that is not JSON', '{ "port": 4000,', /not JSON/],
  ['a list', [], /one JSON object/],
  [
    'an unknown key',
    { managers: MANAGERS, prot: 4000 },
    /unknown key "prot"[^]*known keys: listen, port/,
  ],
  ['no managers', {}, /key "managers" is missing/],
  [
    'an empty list of managers',
    { managers: [] },
    /key "managers": must be a list of at least one URL/,
  ],
  [
    'a manager without scheme',
    { managers: ['localhost:8081'] },
    /key "managers": every manager must be a URL/,
  ],
  ['a password in a URL', { managers: ['http://u:p@h:1'] }, /key "managers": .* no user, password/],
  [
    'a port out of range',
    { managers: MANAGERS, port: 70000 },
    /key "port": .* from 1 to 65535, it is 70000/,
  ],
  ['a port in quotes', { managers: MANAGERS, port: '4000' }, /key "port": must be a whole number/],
  [
    'a path like a probe',
    { managers: MANAGERS, path: '/readiness' },
    /key "path": must differ from the probes/,
  ],
  [
    'a relative supergraph',
    { managers: MANAGERS, supergraph: 's.graphql' },
    /key "supergraph": must be an absolute/,
  ],
  [
    'a supergraph that is not there',
    { managers: MANAGERS, supergraph: '/nowhere/s' },
    /cannot read the supergraph/,
  ],
  [
    'an unknown log level',
    { managers: MANAGERS, log_level: 'loud' },
    /must be one of debug, info, warn, error/,
  ],
];

for (const [what, content, expected] of FAULTS) {
  test(`${what} is refused with exit status 1 and a hint`, async () => {
    const gateway = launch([configFile(content)]);
    assert.equal(await gateway.ended, 1);
    assert.match(gateway.log, /^error: \//);
    assert.match(gateway.log, expected);
    assert.match(gateway.log, /\nhint: ./);
    assert.equal(gateway.output, '');
  });
}

test('a supergraph with a fault is refused by name', async () => {
  const supergraph = configFile('type Query {');
  const gateway = launch(['--check', configFile({ managers: MANAGERS, supergraph })]);
  assert.equal(await gateway.ended, 1);
  assert.ok(
    gateway.log.startsWith(`error: ${supergraph}: not a usable supergraph: Syntax Error`),
    gateway.log,
  );
});

test('--check says nothing and exits 0 when all is well', async () => {
  const gateway = launch(['--check', configFile({ managers: MANAGERS })]);
  assert.equal(await gateway.ended, 0);
  assert.equal(gateway.log + gateway.output, '');
});

test('wrong usage exits 2', async () => {
  for (const args of [[], ['--chekc', 'x'], ['a', 'b']]) {
    const gateway = launch(args);
    assert.equal(await gateway.ended, 2);
    assert.match(gateway.log, /^usage: gateway.mjs/);
  }
});

test('a port in use is an error that says how to find who uses it', async () => {
  const manager = await startUpstream();
  const gateway = launch([configFile({ managers: MANAGERS, port: manager.port })]);
  assert.equal(await gateway.ended, 1);
  assert.match(
    gateway.log,
    /error: cannot listen on 127.0.0.1 port \d+: another program does\nhint: .*ss -ltnp/,
  );
  await manager.stop();
});

test('readiness tells of a manager that is down, and of its return', async () => {
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const gateway = await startGateway([url]);
  const down = { status: 'ready', manager: 'does not answer', managers: { [url]: false } };
  const up = { status: 'ready', manager: 'answers', managers: { [url]: true } };
  for (const round of [1, 2]) {
    assert.deepEqual({ ...(await readiness(gateway)), round }, { ...down, round });
    const { errors } = await ask(gateway, '{ ping }');
    assert.match(errors[0].message, /the manager at http:\S+ does not answer: ECONNREFUSED/);
    const manager = await startUpstream(port);
    assert.deepEqual(await readiness(gateway), up);
    assert.equal((await ask(gateway, '{ ping }')).data.ping, 'pong');
    await manager.stop();
  }
  assert.equal((await fetch(new URL('/readiness', gateway.url))).status, 200);
  assert.equal((await fetch(new URL('/healthcheck', gateway.url))).status, 200);
  await gateway.stop();
  assert.equal(gateway.log.match(/event=manager-down/g).length, 3);
  assert.equal(gateway.log.match(/event=manager-up/g).length, 2);
});

test('with two managers the one that answers is asked', async () => {
  const manager = await startUpstream();
  const dead = `http://127.0.0.1:${await freePort()}`;
  const gateway = await startGateway([dead, manager.url]);
  for (let turn = 0; turn < 4; turn += 1) {
    assert.equal((await ask(gateway, '{ agentCount }')).data.agentCount, 2);
    const answer = await post(gateway, 'subscription { progress(steps: 1) }', {
      'x-backendai-token': 'good-anna',
      accept: '*/*',
    });
    assert.match(await answer.text(), /"progress":1/);
  }
  assert.equal((await readiness(gateway)).manager, 'partly');
  await gateway.stop();
  await manager.stop();
});

test('SIGTERM ends subscriptions at once and exits 0', async () => {
  const manager = await startUpstream();
  const gateway = await startGateway([manager.url]);
  const answer = await post(gateway, 'subscription { progress(steps: -1) }', {
    'x-backendai-token': 'good-anna',
    accept: '*/*',
  });
  const reader = answer.body.getReader();
  await until(
    async () => new TextDecoder().decode((await reader.read()).value).includes('data:'),
    'a value',
  );
  const began = performance.now();
  assert.equal(await gateway.stop(), 0);
  assert.ok(performance.now() - began < HALF_GRACE);
  assert.match(gateway.log, /event=stopping signal=SIGTERM\n[^]*event=stopped\n$/);
  await manager.stop();
});

test('SIGTERM lets a running request end', async () => {
  const manager = await startUpstream();
  const gateway = await startGateway([manager.url]);
  const answer = ask(gateway, '{ held }');
  await until(() => manager.requests.length === 1, 'the request is at the manager');
  const stopped = gateway.stop();
  await until(() => gateway.log.includes('event=stopping'), 'it is stopping');
  manager.release('at last');
  const began = performance.now();
  assert.equal((await answer).data.held, 'at last');
  assert.equal(await stopped, 0);
  assert.ok(performance.now() - began < HALF_GRACE);
  await manager.stop();
});

test('a manager that takes a request and never answers is given up on', async () => {
  const manager = await startUpstream();
  const gateway = await startGateway([manager.url], { request_timeout: 1 });
  const { errors } = await ask(gateway, '{ held }');
  assert.match(errors[0].message, /the manager at http:\S+ does not answer: TimeoutError/);
  assert.equal((await ask(gateway, '{ agentCount }')).data.agentCount, 2);
  await gateway.stop();
  await manager.stop();
});

test('logs hold one line per event and never a token', async () => {
  const manager = await startUpstream();
  const gateway = await startGateway([manager.url]);
  await ask(gateway, '{ whoami refused agentCount }', { 'x-backendai-token': 'good-topsecret' });
  await ask(gateway, '{ whoami }', { 'x-backendai-token': 'topsecret' });
  await fetch(`${gateway.url}?token=topsecret`);
  const subscription = 'subscription { progress(steps: 1) }';
  await (await post(gateway, subscription, { 'x-backendai-token': 'topsecret' })).text();
  await gateway.stop();
  assert.doesNotMatch(gateway.log, /topsecret/);
  for (const line of gateway.log.trimEnd().split('\n'))
    assert.match(line, /^level=\w+ event=[\w-]+( |$)/);
  assert.equal(gateway.output, '');
  await manager.stop();
});

import assert from 'node:assert/strict';
import { after, before, beforeEach, test } from 'node:test';

import { ask, post, startGateway } from './harness.mjs';
import { startUpstream } from './upstream.mjs';

let manager;
let gateway;

before(async () => {
  manager = await startUpstream();
  gateway = await startGateway([manager.url], { max_body: 10_000 });
});

after(async () => {
  await gateway.stop();
  await manager.stop();
});

beforeEach(() => {
  manager.requests.length = 0;
});

const paths = () => manager.requests.map((request) => request.path).sort();

test('each field goes to the endpoint that has it', async () => {
  const { data } = await ask(gateway, '{ agentCount whoami ping }');
  assert.deepEqual(data, { agentCount: 2, whoami: 'anna', ping: 'pong' });
  assert.deepEqual(paths(), [
    '/admin/gql',
    '/admin/gql/strawberry',
    '/admin/gql/strawberry/public',
  ]);
});

test('a type spread over two endpoints is joined', async () => {
  const { data } = await ask(gateway, '{ agents { id status cores } }');
  assert.deepEqual(data.agents, [
    { id: 'a1', status: 'ALIVE', cores: 8 },
    { id: 'a2', status: 'ALIVE', cores: 16 },
  ]);
  assert.deepEqual(paths(), ['/admin/gql', '/admin/gql/strawberry']);
});

test('a mutation reaches the manager once', async () => {
  const { data } = await ask(gateway, 'mutation { drain(id: "a1") { id status } }');
  assert.deepEqual(data.drain, { id: 'a1', status: 'DRAINED' });
  assert.deepEqual(paths(), ['/admin/gql']);
});

test('several fields of one endpoint make one request', async () => {
  const { data } = await ask(gateway, '{ whoami projects again: projects }');
  assert.deepEqual(data, { whoami: 'anna', projects: ['one', 'two'], again: ['one', 'two'] });
  assert.deepEqual(paths(), ['/admin/gql/strawberry']);
});

test('users who ask at the same moment are not mixed', async () => {
  const users = Array.from({ length: 20 }, (_, index) => `user${index}`);
  const answers = await Promise.all(
    users.map((name) => ask(gateway, '{ whoami }', { 'x-backendai-token': `good-${name}` })),
  );
  assert.deepEqual(
    answers.map(({ data }) => data.whoami),
    users,
  );
});

test('only the headers of the allow-list go on', async () => {
  const wanted = {
    'x-backendai-token': 'good-anna',
    'x-backendai-act-as': 'bert',
    'x-forwarded-for': '192.0.2.1',
  };
  await ask(gateway, '{ agentCount }', {
    ...wanted,
    authorization: 'BackendAI secret',
    cookie: 'AIOHTTP_SESSION=secret',
    'x-backendai-version': 'v9',
    'x-forwarded-host': 'elsewhere',
  });
  const { headers } = manager.requests[0];
  for (const [name, value] of Object.entries(wanted)) assert.equal(headers[name], value);
  for (const name of ['authorization', 'cookie', 'x-backendai-version', 'x-forwarded-host']) {
    assert.equal(headers[name], undefined, name);
  }
});

test('without a token the public endpoint answers and the others refuse', async () => {
  const { data, errors } = await ask(gateway, '{ ping whoami }', {});
  assert.deepEqual(data, { ping: 'pong', whoami: null });
  assert.equal(errors[0].extensions.response.status, 401);
});

test("the manager's own errors come through unmasked", async () => {
  const { errors } = await ask(gateway, '{ refused }');
  assert.equal(errors[0].message, 'the manager said no');
  assert.deepEqual(errors[0].path, ['refused']);
});

test('an unknown field is refused without asking the manager', async () => {
  const { errors } = await ask(gateway, '{ nothing }');
  assert.match(errors[0].message, /Cannot query field "nothing"/);
  assert.deepEqual(paths(), []);
});

test('introspection is off', async () => {
  const { data, errors } = await ask(gateway, '{ __schema { types { name } } }');
  assert.equal(data, undefined);
  assert.match(errors[0].message, /introspection has been disabled/);
});

test('there is no GraphiQL, no landing page and no CORS', async () => {
  const html = { accept: 'text/html', origin: 'http://elsewhere.test' };
  const page = await fetch(gateway.url, { headers: html });
  assert.doesNotMatch(await page.text(), /<html/i);
  const root = await fetch(new URL('/', gateway.url), { headers: html });
  assert.equal(root.status, 404);
  const answer = await post(gateway, '{ ping }', { origin: 'http://elsewhere.test' });
  assert.equal(answer.headers.get('access-control-allow-origin'), null);
  const preflight = await fetch(gateway.url, { method: 'OPTIONS', headers: html });
  assert.equal(preflight.headers.get('access-control-allow-origin'), null);
});

test('a request over the size limit is refused', async () => {
  const answer = await post(gateway, `{ ping } # ${'x'.repeat(20_000)}`);
  assert.equal(answer.status, 413);
  assert.deepEqual(paths(), []);
});

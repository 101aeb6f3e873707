// A stand-in for the manager: three real GraphQL endpoints on one port, which record what is
// asked of them. The tokens "good-NAME" are valid; the public endpoint wants none.

import { createServer } from 'node:http';

import { useServer } from 'graphql-ws/use/ws';
import { createSchema, createYoga } from 'graphql-yoga';
import { WebSocketServer } from 'ws';

const STRAWBERRY = '/admin/gql/strawberry';

const user = (headers) => /^good-(\w+)$/.exec(headers['x-backendai-token'] ?? '')?.[1];

const ENTITIES = `
  scalar _Any
  union _Entity = Agent
  extend type Query { _entities(representations: [_Any!]!): [_Entity]! }
`;

function entities(resolve) {
  return (_root, { representations }) =>
    representations.map((r) => ({ __typename: 'Agent', id: r.id, ...resolve(r.id) }));
}

const graphene = (state) =>
  createSchema({
    typeDefs: `
      type Query { agents: [Agent!]! agentCount: Int! refused: String held: String }
      type Mutation { drain(id: ID!): Agent }
      type Agent { id: ID! status: String! }
      ${ENTITIES}
    `,
    resolvers: {
      Query: {
        agents: () => ['a1', 'a2'].map((id) => ({ id, status: 'ALIVE' })),
        agentCount: () => 2,
        refused: () => {
          throw new Error('the manager said no');
        },
        held: () => state.held,
        _entities: entities(() => ({ status: 'ALIVE' })),
      },
      Mutation: { drain: (_root, { id }) => ({ id, status: 'DRAINED' }) },
    },
  });

// Steps below zero: their values, then silence until the client leaves.
async function* progress(steps, forever) {
  for (let step = 1; step <= Math.abs(steps); step += 1) yield { progress: step };
  if (steps < 0) await forever;
}

const strawberry = (state) =>
  createSchema({
    typeDefs: `
      type Query { whoami: String projects: [String!]! }
      type Subscription { progress(steps: Int!): Int! }
      type Agent { id: ID! cores: Int! }
      ${ENTITIES}
    `,
    resolvers: {
      Query: {
        whoami: (_root, _args, context) => user(context.req.headers),
        projects: () => ['one', 'two'],
        _entities: entities((id) => ({ cores: Number(id.slice(1)) * 8 })),
      },
      Subscription: {
        progress: {
          subscribe(_root, { steps }) {
            if (steps === 0) throw new Error('no steps, said the manager');
            return progress(steps, state.forever);
          },
        },
      },
    },
  });

const open = createSchema({
  typeDefs: 'type Query { ping: String! }',
  resolvers: { Query: { ping: () => 'pong' } },
});

/**
 * Start one; `port` 0 picks a free one. `requests` and `handshakes` grow as they come in, the
 * query `held` is answered once `release()` is called.
 */
export async function startUpstream(port = 0) {
  const { promise: held, resolve: release } = Promise.withResolvers();
  const forever = new Promise(() => {});
  const state = { requests: [], handshakes: [], sockets: new Set(), forever, held, release };
  const schemas = {
    '/admin/gql': graphene(state),
    [STRAWBERRY]: strawberry(state),
    [`${STRAWBERRY}/public`]: open,
  };
  const endpoints = new Map(
    Object.entries(schemas).map(([path, schema]) => [
      path,
      createYoga({ schema, graphqlEndpoint: path, logging: false, maskedErrors: false }),
    ]),
  );
  const server = createServer((request, response) => {
    if (request.url === '/') return void response.end('{"manager": "26.9.6"}');
    state.requests.push({ path: request.url, headers: request.headers });
    if (!request.url.endsWith('/public') && !user(request.headers)) {
      response.writeHead(401, { 'content-type': 'application/problem+json' });
      return void response.end('{"title": "Unauthorized access"}');
    }
    endpoints.get(request.url)(request, response);
  });
  serveSubscriptions(server, schemas[STRAWBERRY], state);
  await new Promise((resolve) => server.listen(port, '127.0.0.1', resolve));
  return {
    ...state,
    url: `http://127.0.0.1:${server.address().port}`,
    port: server.address().port,
    async stop() {
      for (const socket of state.sockets) socket.terminate();
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

// Like the manager: the token is checked at the handshake, before there is a websocket.
function serveSubscriptions(server, schema, state) {
  const socketServer = new WebSocketServer({ noServer: true });
  useServer({ schema }, socketServer);
  server.on('upgrade', (request, socket, head) => {
    state.handshakes.push({ path: request.url, headers: request.headers });
    if (request.url !== STRAWBERRY || !user(request.headers)) {
      socket.end('HTTP/1.1 401 Unauthorized\r\nConnection: close\r\nContent-Length: 0\r\n\r\n');
      return;
    }
    socketServer.handleUpgrade(request, socket, head, (websocket) => {
      state.sockets.add(websocket);
      websocket.once('close', () => state.sockets.delete(websocket));
      socketServer.emit('connection', websocket, request);
    });
  });
}

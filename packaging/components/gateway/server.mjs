// The server: GraphQL by HTTP, SSE and websocket on one path, and two probes.

import { createServer } from 'node:http';

import { GraphQLError, NoSchemaIntrospectionCustomRule } from 'graphql';
import { useServer } from 'graphql-ws/use/ws';
import { createYoga } from 'graphql-yoga';
import { WebSocketServer } from 'ws';

import { limitDocuments } from './limits.mjs';
import { libraryLog } from './log.mjs';

const GRACE = 10_000; // milliseconds that running requests get when the service stops
const RECEIVE_TIMEOUT = 60_000; // milliseconds to receive one whole request
// Longer than the web server keeps an idle connection: it closes first, so no request meets a
// connection that is just being closed.
const KEEP_ALIVE = 75_000; // milliseconds

/** Start listening. Resolves to `{ stop }`; rejects with the error of the socket. */
export async function serve(config, schema, managers, log) {
  const open = new Map(); // response under way -> whether it is a stream
  const yoga = createYoga({
    schema,
    graphqlEndpoint: config.path,
    maxRequestBodySize: config.max_body,
    // A thousand documents would be kept, of whoever asks; a new one costs 2 ms.
    parserAndValidationCache: false,
    // The web UI reads the manager's own errors, `extensions.response` included.
    maskedErrors: false,
    multipart: false,
    landingPage: false,
    graphiql: false,
    cors: false,
    logging: libraryLog(log),
    plugins: [limitDocuments(config), refuseIntrospection, noteStreams(open)],
  });
  const server = createServer({ requestTimeout: RECEIVE_TIMEOUT }, (request, response) => {
    open.set(response, false);
    response.once('close', () => open.delete(response));
    traceRequest(request, response, log);
    route(request, response, { config, yoga, managers });
  });
  server.keepAliveTimeout = KEEP_ALIVE;
  const websockets = serveWebsockets(server, yoga, config);
  await listening(server, config);
  return { stop: () => stop(server, websockets, open) };
}

const refuseIntrospection = {
  onValidate({ addValidationRule }) {
    addValidationRule(NoSchemaIntrospectionCustomRule);
  },
};

// Marks the responses that go on until the client leaves: subscriptions by SSE.
function noteStreams(open) {
  return {
    onResponse({ response, serverContext: { res } }) {
      const type = response.headers.get('content-type') ?? '';
      if (type.startsWith('text/event-stream')) open.set(res, true);
    },
  };
}

function route(request, response, { config, yoga, managers }) {
  const path = pathOf(request);
  if (path === config.path) yoga(request, response);
  else if (path === '/healthcheck') answer(response, 200, { status: 'ok' });
  else if (path === '/readiness') readiness(response, managers);
  else answer(response, 404, { error: `nothing here; GraphQL is at ${config.path}` });
}

// Always 200: we are ready, and the web server must not take us out of its pool while a manager
// restarts. Who wants to know about the manager reads the body.
async function readiness(response, managers) {
  const answers = await managers.probe();
  const all = Object.values(answers);
  const manager = all.every(Boolean) ? 'answers' : all.some(Boolean) ? 'partly' : 'does not answer';
  answer(response, 200, { status: 'ready', manager, managers: answers });
}

function answer(response, status, body) {
  response.writeHead(status, { 'content-type': 'application/json', 'cache-control': 'no-store' });
  response.end(`${JSON.stringify(body)}\n`);
}

// Only the path: a query string may hold what the user asked for.
function pathOf(request) {
  return request.url.split('?', 1)[0];
}

function traceRequest(request, response, log) {
  const began = performance.now();
  response.once('close', () => {
    log.debug('request', {
      method: request.method,
      path: pathOf(request),
      status: response.statusCode,
      milliseconds: Math.round(performance.now() - began),
    });
  });
}

function serveWebsockets(server, yoga, config) {
  // `noServer`: given the server, ws would swallow its errors, "address in use" among them.
  const socketServer = new WebSocketServer({ noServer: true, maxPayload: config.max_body });
  server.on('upgrade', (request, socket, head) => {
    if (pathOf(request) !== config.path) {
      socket.on('error', () => socket.destroy());
      socket.end('HTTP/1.1 404 Not Found\r\nConnection: close\r\nContent-Length: 0\r\n\r\n');
      return;
    }
    socketServer.handleUpgrade(request, socket, head, (websocket) => {
      socketServer.emit('connection', websocket, request);
    });
  });
  const disposable = useServer(
    {
      execute: (args) => args.rootValue.execute(args),
      subscribe: (args) => args.rootValue.subscribe(args),
      onSubscribe: (context, _id, params) => prepare(yoga, context.extra.request, params),
    },
    socketServer,
  );
  return disposable;
}

// One operation of a websocket, through the same plugins as one that came by HTTP. Returns what
// to execute, or the errors to answer with.
async function prepare(yoga, request, params) {
  const enveloped = yoga.getEnveloped({ req: request, params });
  let document;
  try {
    document = enveloped.parse(params.query);
  } catch (error) {
    return [error instanceof GraphQLError ? error : new GraphQLError(error.message)];
  }
  const errors = enveloped.validate(enveloped.schema, document);
  if (errors.length > 0) return errors;
  return {
    schema: enveloped.schema,
    document,
    operationName: params.operationName,
    variableValues: params.variables,
    contextValue: await enveloped.contextFactory(),
    rootValue: { execute: enveloped.execute, subscribe: enveloped.subscribe },
  };
}

function listening(server, config) {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(config.port, config.listen, () => {
      server.off('error', reject);
      resolve();
    });
  });
}

// Let running requests end; subscriptions never do, so those are closed at once (clients
// reconnect).
async function stop(server, websockets, open) {
  const closed = new Promise((resolve) => server.close(resolve));
  const timer = setTimeout(() => server.closeAllConnections(), GRACE);
  await websockets.dispose();
  for (const [response, isStream] of open) {
    if (isStream) response.destroy();
    else response.shouldKeepAlive = false; // or its connection would stay open after the answer
  }
  await closed;
  clearTimeout(timer);
}

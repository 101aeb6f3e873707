// The federated schema: each field of the supergraph is answered by one endpoint of the manager.

import { buildGraphQLWSExecutor } from '@graphql-tools/executor-graphql-ws';
import { buildHTTPExecutor } from '@graphql-tools/executor-http';
import { getStitchedSchemaFromSupergraphSdl } from '@graphql-tools/federation';
import { GraphQLError } from 'graphql';
import { createClient } from 'graphql-ws';
import { WebSocket } from 'ws';

import { read } from './config.mjs';
import { Problem } from './problem.mjs';

// Only these headers of a request go on to the manager: who asks, for whom, and from where.
export const FORWARDED = ['x-backendai-token', 'x-backendai-act-as', 'x-forwarded-for'];

const HANDSHAKE_TIMEOUT = 10_000; // milliseconds
const MAX_EVENT = 20 * 1024 * 1024; // bytes of one message of the manager's

/** The executable schema. Throws a Problem when the supergraph cannot be used. */
export function federate(config, managers) {
  const sdl = read(config.supergraph, 'supergraph');
  try {
    return getStitchedSchemaFromSupergraphSdl({
      supergraphSdl: sdl,
      // One request to an endpoint for all that one operation asks of it.
      batch: true,
      onSubschemaConfig(subschema) {
        subschema.executor = executorFor(pathOf(subschema.endpoint), config, managers);
      },
    });
  } catch (error) {
    throw new Problem(
      `${config.supergraph}: not a usable supergraph: ${error.message}`,
      'install the package backendai-gateway again, or correct the key "supergraph"',
    );
  }
}

// The supergraph records full addresses; which host serves them is for the configuration to say.
function pathOf(endpoint) {
  return new URL(endpoint).pathname;
}

function executorFor(path, config, managers) {
  const http = buildHTTPExecutor({
    endpoint: path,
    fetch: (url, init) => managers.fetch(url, init),
    headers: (request) => forwarded(request.context),
    timeout: config.request_timeout * 1000,
  });
  return (request) => {
    if (request.operationType !== 'subscription') return http(request);
    return subscribe(request, managers.websocketUrl(path));
  };
}

// One websocket per subscription: the manager takes the token from the handshake's headers, so a
// connection belongs to the user who opened it and must not be shared.
function subscribe(request, url) {
  const headers = forwarded(request.context);
  class UpstreamSocket extends WebSocket {
    constructor(address, protocols) {
      super(address, protocols, {
        headers,
        handshakeTimeout: HANDSHAKE_TIMEOUT,
        maxPayload: MAX_EVENT,
      });
    }
  }
  const client = createClient({ url, webSocketImpl: UpstreamSocket, retryAttempts: 0 });
  return readable(buildGraphQLWSExecutor(client)(request), url);
}

// Errors as results: the client is told what the manager said, or that it went away, and its
// connection with the other subscriptions lives on.
// Not an async generator: that would hold a return() back until the next value comes, and the
// connection of a client that has left would stay open.
function readable(results, url) {
  const tell = (error) => ({
    value: { errors: Array.isArray(error) ? error : [closed(url, error)] },
    done: false,
  });
  return {
    next: () => results.next().catch(tell),
    return: (value) => results.return(value),
    throw: (error) => results.throw(error),
    [Symbol.asyncIterator]() {
      return this;
    },
  };
}

function closed(url, event) {
  const why = [event?.code, event?.reason || event?.message].filter(Boolean).join(' ');
  return new GraphQLError(`the manager closed the subscription at ${url}: ${why}`, {
    extensions: { code: 'SUBSCRIPTION_CLOSED' },
  });
}

// `req` is the incoming request: put there by graphql-yoga for HTTP, by server.mjs for websockets.
function forwarded(context) {
  const incoming = context?.req?.headers ?? {};
  return Object.fromEntries(
    FORWARDED.filter((name) => incoming[name]).map((name) => [name, incoming[name]]),
  );
}

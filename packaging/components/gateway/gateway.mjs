// Federation gateway: the web UI asks one GraphQL endpoint, the manager has three.
//
//   node gateway.mjs CONFIG            serve until SIGTERM
//   node gateway.mjs --check CONFIG    check configuration and supergraph, then exit
//
// Exit status: 0 stopped or checked, 1 an error (on standard error, with a hint), 2 usage.

import { isIPv4 } from 'node:net';

import { readConfig } from './config.mjs';
import { federate } from './federation.mjs';
import { createLog } from './log.mjs';
import { Managers } from './managers.mjs';
import { Problem } from './problem.mjs';
import { serve } from './server.mjs';

const USAGE = 'usage: gateway.mjs [--check] CONFIG';

async function main(args) {
  const check = args[0] === '--check';
  const rest = check ? args.slice(1) : args;
  if (rest.length !== 1 || rest[0].startsWith('-')) {
    process.stderr.write(`${USAGE}\n`);
    return 2;
  }
  const config = readConfig(rest[0]);
  const log = createLog(config.log_level);
  const managers = new Managers(config.managers, log);
  const schema = federate(config, managers);
  if (check) return 0;
  await run(config, schema, managers, log);
  return 0;
}

async function run(config, schema, managers, log) {
  // Installed before listening: a signal that comes early must not be lost.
  const signal = new Promise((resolve) => {
    for (const name of ['SIGTERM', 'SIGINT']) {
      process.once(name, () => {
        resolve(name);
        // A second signal does not wait for anybody.
        process.once(name, () => process.exit(1));
      });
    }
  });
  // A failure inside one request must not end the others.
  process.on('unhandledRejection', (error) => {
    log.error('unhandled', { message: error?.message ?? error });
  });
  const server = await serve(config, schema, managers, log).catch((error) => {
    throw cannotListen(config, error);
  });
  if (!isLoopback(config.listen)) {
    log.warn('exposed', {
      address: config.listen,
      message: 'whoever reaches this address can forge x-forwarded-for; listen on 127.0.0.1',
    });
  }
  log.info('listening', { address: config.listen, port: config.port, path: config.path });
  const name = await signal;
  log.info('stopping', { signal: name });
  await server.stop();
  log.info('stopped');
}

function cannotListen(config, error) {
  const where = `${config.listen} port ${config.port}`;
  if (error.code === 'EADDRINUSE') {
    return new Problem(
      `cannot listen on ${where}: another program does`,
      `find it with "ss -ltnp sport = :${config.port}", or change the key "port"`,
    );
  }
  return new Problem(
    `cannot listen on ${where}: ${error.message}`,
    'change the keys "listen" and "port"',
  );
}

function isLoopback(address) {
  return (
    address === 'localhost' || address === '::1' || (isIPv4(address) && address.startsWith('127.'))
  );
}

try {
  process.exit(await main(process.argv.slice(2)));
} catch (error) {
  if (!(error instanceof Problem)) throw error;
  process.stderr.write(`error: ${error.message}\nhint: ${error.hint}\n`);
  process.exit(1);
}

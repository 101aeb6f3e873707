// Compose the supergraph from the manager's three schemas.
//
//   node compose.mjs SCHEMAS OUT
//
// SCHEMAS holds graphene.graphql, strawberry.graphql and public.graphql. The result does not
// depend on the order of the three, nor on the machine.

import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { composeServices } from '@theguild/federation-composition';
import { parse } from 'graphql';

// The gateway keeps only the path; host and port are those of a manager with default settings.
const MANAGER = 'http://127.0.0.1:8081';

const ENDPOINTS = {
  graphene: '/admin/gql',
  strawberry: '/admin/gql/strawberry',
  public: '/admin/gql/strawberry/public',
};

const SHOWN = 20; // errors: one mistake in a schema can cause hundreds

function schema(folder, name) {
  const file = join(folder, `${name}.graphql`);
  try {
    return parse(readFileSync(file, 'utf8'));
  } catch (error) {
    fail([`${file}: ${error.message}`]);
  }
}

function fail(messages) {
  const more = messages.length - SHOWN;
  process.stderr.write(`error: the three schemas do not make a supergraph\n`);
  for (const message of messages.slice(0, SHOWN)) process.stderr.write(`  ${message}\n`);
  if (more > 0) process.stderr.write(`  and ${more} more\n`);
  process.exit(1);
}

const [folder, out] = process.argv.slice(2);
const services = Object.entries(ENDPOINTS).map(([name, path]) => ({
  name,
  url: MANAGER + path,
  typeDefs: schema(folder, name),
}));
const { supergraphSdl, errors } = composeServices(services);
if (errors) fail(errors.map((error) => error.message));
writeFileSync(out, `${supergraphSdl.trimEnd()}\n`);

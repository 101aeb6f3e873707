// Bundle a program and everything it imports into one file.
//
//   node bundle.mjs ENTRY OUT METAFILE
//
// Run in the folder that holds node_modules: the comments esbuild leaves in the bundle name files
// relative to it, so the bytes are the same wherever that folder is.

import { writeFileSync } from 'node:fs';

import { build } from 'esbuild';

const [entry, out, metafile] = process.argv.slice(2);

const result = await build({
  entryPoints: [entry],
  outfile: out,
  absWorkingDir: process.cwd(),
  bundle: true,
  platform: 'node',
  format: 'esm',
  target: 'node24',
  // Readable on the host it runs on, and diffable between releases.
  minify: false,
  legalComments: 'inline',
  metafile: true,
  logLevel: 'warning',
  // Packages in the older module format call require() for Node's own modules.
  banner: {
    js: "import { createRequire } from 'node:module';\nconst require = createRequire(import.meta.url);",
  },
  define: {
    'process.env.NODE_ENV': '"production"',
    // Native modules that ws would look for: never load what this release does not ship.
    'process.env.WS_NO_BUFFER_UTIL': '"1"',
    'process.env.WS_NO_UTF_8_VALIDATE': '"1"',
  },
});
writeFileSync(metafile, JSON.stringify(result.metafile));

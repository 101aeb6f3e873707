// How large a document may be. It is read before anybody is asked who sent it, and what the parser
// makes of it takes hundreds of bytes for each of its tokens: 20 MB of them end the process.

import { GraphQLError, Kind, Lexer, Source, TokenKind } from 'graphql';

const OPEN = new Set([TokenKind.BRACE_L, TokenKind.BRACKET_L, TokenKind.PAREN_L]);
const CLOSE = new Set([TokenKind.BRACE_R, TokenKind.BRACKET_R, TokenKind.PAREN_R]);

/** A plugin that refuses documents beyond `max_tokens` and `max_depth` of the configuration. */
export function limitDocuments({ max_tokens: tokens, max_depth: depth }) {
  return {
    onParse({ parseFn, setParseFn }) {
      setParseFn((source, options) => {
        checkText(source, tokens, depth);
        const document = parseFn(source, options);
        const fragments = fragmentsOf(document);
        if (fieldDepth(document, fragments) > depth) throw tooDeep(depth);
        if (fullSize(document, fragments) > tokens)
          throw refusal(`has more than ${tokens} tokens once each fragment is in its place`);
        return document;
      });
    },
  };
}

// Before the parser: it keeps every token, and calls itself for each level.
function checkText(source, tokens, depth) {
  const lexer = new Lexer(typeof source === 'string' ? new Source(source) : source);
  let level = 0;
  for (let count = 1; lexer.advance().kind !== TokenKind.EOF; count += 1) {
    if (count > tokens) throw refusal(`has more than ${tokens} tokens`);
    if (OPEN.has(lexer.token.kind)) level += 1;
    else if (CLOSE.has(lexer.token.kind)) level -= 1;
    if (level > depth) throw tooDeep(depth);
  }
}

function fragmentsOf(document) {
  const fragments = new Map();
  for (const definition of document.definitions) {
    if (definition.kind === Kind.FRAGMENT_DEFINITION)
      fragments.set(definition.name.value, definition);
  }
  return fragments;
}

// Fields inside fields, those of fragments included. One that contains itself is for validation.
function fieldDepth(document, fragments) {
  const known = new Map(); // fragment -> its depth; 0 while it is being measured
  const below = (node) => deepest((node.selectionSet?.selections ?? []).map(measure));
  function measure(node) {
    if (node.kind === Kind.FIELD) return 1 + below(node);
    if (node.kind !== Kind.FRAGMENT_SPREAD) return below(node);
    const name = node.name.value;
    if (!known.has(name)) {
      known.set(name, 0);
      known.set(name, fragments.has(name) ? below(fragments.get(name)) : 0);
    }
    return known.get(name);
  }
  return deepest(document.definitions.map(below));
}

// Nodes but names, of which a document has no more than tokens. Every use of a fragment counts, for
// plans and their queries hold each: used twice on every level, its size is a power of the levels.
function fullSize(document, fragments) {
  const known = new Map(); // fragment -> its size; 0 while it is being counted
  function size(node) {
    let sum = 1;
    for (const key in node) {
      const part = node[key];
      if (Array.isArray(part)) for (const child of part) sum += size(child);
      else if (part?.kind && part.kind !== Kind.NAME) sum += size(part);
    }
    return node.kind === Kind.FRAGMENT_SPREAD ? sum + used(node.name.value) : sum;
  }
  function used(name) {
    if (!known.has(name)) {
      known.set(name, 0);
      known.set(name, fragments.has(name) ? size(fragments.get(name)) : 0);
    }
    return known.get(name); // huge sums lose digits, or become Infinity: larger than any limit
  }
  return document.definitions
    .filter((definition) => definition.kind !== Kind.FRAGMENT_DEFINITION)
    .reduce((sum, definition) => sum + size(definition), 0);
}

function deepest(depths) {
  return depths.reduce((most, depth) => Math.max(most, depth), 0);
}

function tooDeep(depth) {
  return refusal(`is nested deeper than ${depth} levels`);
}

function refusal(why) {
  return new GraphQLError(`the query ${why}; ask for less at once`, {
    extensions: { code: 'QUERY_TOO_LARGE' },
  });
}

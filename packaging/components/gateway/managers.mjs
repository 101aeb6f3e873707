// The managers: which one to ask next, and whether each of them answers.
//
// Nothing here keeps the gateway from starting or stops it: a manager that restarts is asked
// again with the next request.

// Shorter than the 2 s after which the web server's own probe of us gives up.
const PROBE_TIMEOUT = 1500; // milliseconds

// Errors that come before a single byte was sent: asking another manager cannot run it twice.
const NOT_SENT = new Set([
  'EAI_AGAIN',
  'ECONNREFUSED',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ENOTFOUND',
  'UND_ERR_CONNECT_TIMEOUT',
]);

export class Managers {
  #bases;
  #log;
  #turn = 0;
  #answering = new Map();

  constructor(bases, log) {
    this.#bases = bases;
    this.#log = log;
  }

  /** `fetch` for a path of the manager: in turn, and past those that cannot be connected to. */
  async fetch(path, init) {
    let failure;
    for (const base of this.#inTurn()) {
      try {
        // A redirect would carry the token to an address nobody configured.
        const response = await fetch(base + path, { ...init, redirect: 'error' });
        this.#note(base, true);
        return response;
      } catch (error) {
        const code = reason(error);
        failure = new Error(`the manager at ${base} does not answer: ${code}`, { cause: error });
        if (!NOT_SENT.has(code)) throw failure;
        this.#note(base, false, code);
      }
    }
    throw failure;
  }

  /** Websocket address for a path: of a manager that answered last time, when there is one. */
  websocketUrl(path) {
    const turn = this.#inTurn();
    const base = turn.find((candidate) => this.#answering.get(candidate) !== false) ?? turn[0];
    return base.replace(/^http/, 'ws') + path;
  }

  /** Ask every manager now: `{ "http://127.0.0.1:8081": true }`. Never throws. */
  async probe() {
    const answers = await Promise.all(
      this.#bases.map(async (base) => [base, await this.#ask(base)]),
    );
    return Object.fromEntries(answers);
  }

  async #ask(base) {
    try {
      const response = await fetch(`${base}/`, {
        redirect: 'manual',
        signal: AbortSignal.timeout(PROBE_TIMEOUT),
      });
      await response.body?.cancel();
      this.#note(base, true);
      return true;
    } catch (error) {
      this.#note(base, false, reason(error));
      return false;
    }
  }

  #inTurn() {
    const first = this.#turn++ % this.#bases.length;
    return [...this.#bases.slice(first), ...this.#bases.slice(0, first)];
  }

  // Log changes only: a manager that is down for an hour is one line, not thousands.
  #note(base, answers, why) {
    const before = this.#answering.get(base);
    this.#answering.set(base, answers);
    if (before === answers) return;
    if (!answers) this.#log.warn('manager-down', { manager: base, reason: why });
    else this.#log.info('manager-up', { manager: base });
  }
}

// Node hides the reason of a failed fetch in its cause; several addresses give several causes.
function reason(error) {
  const cause = error.cause?.errors?.[0] ?? error.cause ?? error;
  return cause.code && typeof cause.code === 'string' ? cause.code : cause.name;
}

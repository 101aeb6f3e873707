// Logs: one line per event on standard error, `key=value`, ready for journald.
//
// Only what is passed in is written: no header, no query text and no variables ever reach a
// log call, so neither can a token.

// Level -> the priority journald understands as a line's prefix.
const PRIORITY = { debug: 7, info: 6, warn: 4, error: 3 };

export const LEVELS = Object.keys(PRIORITY);

/** A logger with one method per level: `log.info('event', { key: value })`. */
export function createLog(level, write = (line) => process.stderr.write(line)) {
  const threshold = PRIORITY[level];
  // systemd sets JOURNAL_STREAM when standard error goes to the journal.
  const prefixed = Boolean(process.env.JOURNAL_STREAM);
  const log = {};
  for (const [name, priority] of Object.entries(PRIORITY)) {
    log[name] = (event, fields = {}) => {
      if (priority > threshold) return;
      const pairs = Object.entries({ level: name, event, ...fields });
      const line = pairs.map(([key, value]) => `${key}=${quote(value)}`).join(' ');
      write(`${prefixed ? `<${priority}>` : ''}${line}\n`);
    };
  }
  return log;
}

/** The shape of logger that graphql-yoga wants. Of an error only its message is kept. */
export function libraryLog(log) {
  const text = (parts) =>
    parts.map((part) => (part instanceof Error ? part.message : String(part))).join(' ');
  const at =
    (level) =>
    (...parts) =>
      log[level]('graphql', { message: text(parts) });
  // Its debug lines tell only that a request passes through; our own say that and more.
  return { debug: () => {}, info: at('info'), warn: at('warn'), error: at('error') };
}

// JSON quoting keeps a value with blanks or line breaks on one line.
function quote(value) {
  const text = String(value);
  return /^[\w./:@+*[\]-]+$/.test(text) ? text : JSON.stringify(text);
}

// The one kind of error an operator is meant to read: what went wrong, and the cure.

export class Problem extends Error {
  constructor(what, hint) {
    super(what);
    this.name = 'Problem';
    this.hint = hint;
  }
}

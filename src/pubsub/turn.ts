/** Lets jobs run one after the other, in the order they came; a job that fails does not hold up the next. */
export class Turn {
  #last: Promise<unknown> = Promise.resolve();

  run<T>(job: () => Promise<T>): Promise<T> {
    const mine = this.#last.then(job);
    this.#last = mine.then(nothing, nothing); // not what the job made: that would stay in memory until the next one
    return mine;
  }
}

function nothing(): void {}

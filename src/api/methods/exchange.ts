type Act = () => void;

/**
 * One call and its answer, as far as the client's end of it matters: `open` until the last byte of the answer was
 * handed to the operating system (`delivered`) or the client went away before that (`lost`).
 */
export class Exchange {
  #state: 'open' | 'delivered' | 'lost' = 'open';
  #onLost: Act[] = [];
  #onEnd: Act[] = [];

  /** Calls `act` when the client will not get the answer; at once when that is so already. */
  onLost(act: Act): void {
    if (this.#state === 'lost') act();
    else if (this.#state === 'open') this.#onLost.push(act);
  }

  /** Calls `act` when it is over, however it ended; at once when it is. */
  onEnd(act: Act): void {
    if (this.#state === 'open') this.#onEnd.push(act);
    else act();
  }

  /** For the transport; only the first call counts. */
  end(state: 'delivered' | 'lost'): void {
    if (this.#state !== 'open') return;
    this.#state = state;
    const acts = state === 'lost' ? [...this.#onLost, ...this.#onEnd] : this.#onEnd;
    this.#onLost = [];
    this.#onEnd = [];
    for (const act of acts) act();
  }
}

/** MQTT-3.1.2-22: a client that is silent for one and a half times its keep alive is gone. */
export class KeepAlive {
  readonly #timer: NodeJS.Timeout | undefined;

  /** @param seconds 0: the client may be silent for ever. @param silent called again and again unless it closes this. */
  constructor(seconds: number, silent: () => void) {
    if (seconds > 0) this.#timer = setInterval(silent, seconds * 1500);
  }

  /** A packet came. */
  heard(): void {
    this.#timer?.refresh();
  }

  close(): void {
    clearInterval(this.#timer);
  }
}

/**
 * How far the server has come with a QoS 2 packet id of one session (MQTT5 §4.3.3, the receiver's side):
 *
 *     free ──PUBLISH──► arriving ──durable──► stored ──PUBREL──► free
 *                           └──not stored──► free
 *
 * `kept`: acknowledged without anything in the store, because no route took the topic. A PUBLISH with an id that is not
 * free is a repetition: it is acknowledged like the first, and goes nowhere.
 */
export const idStates = { free: 0, arriving: 1, stored: 2, kept: 3 } as const;
export type IdState = (typeof idStates)[keyof typeof idStates];

const pageIds = 256;

/**
 * The QoS 2 packet ids of a session that no PUBREL has released. One byte per id, in pages that come and go: clients
 * count their ids up, so mostly one page is in use. Bounded by the packet ids there are: 64 KiB.
 */
export class UnreleasedIds {
  readonly #pages = new Map<number, { readonly states: Uint8Array; used: number }>();
  readonly #waiting = new Map<number, ((state: IdState) => void)[]>();

  state(packetId: number): IdState {
    return (this.#pages.get(packetId >> 8)?.states[packetId % pageIds] ?? idStates.free) as IdState;
  }

  get empty(): boolean {
    return this.#pages.size === 0;
  }

  arrive(packetId: number): void {
    this.#set(packetId, idStates.arriving);
  }

  settle(packetId: number, state: IdState): void {
    this.#set(packetId, state);
    const waiting = this.#waiting.get(packetId);
    if (!waiting) return;
    this.#waiting.delete(packetId);
    for (const settled of waiting) settled(state);
  }

  /** Calls back when it is known what became of the first PUBLISH of an arriving id. */
  whenSettled(packetId: number, settled: (state: IdState) => void): void {
    const waiting = this.#waiting.get(packetId);
    if (waiting) waiting.push(settled);
    else this.#waiting.set(packetId, [settled]);
  }

  #set(packetId: number, state: IdState): void {
    const number = packetId >> 8;
    let page = this.#pages.get(number);
    if (!page) {
      if (state === idStates.free) return;
      page = { states: new Uint8Array(pageIds), used: 0 };
      this.#pages.set(number, page);
    }
    const before = page.states[packetId % pageIds]!;
    page.states[packetId % pageIds] = state;
    page.used += Number(state !== idStates.free) - Number(before !== idStates.free);
    if (page.used === 0) this.#pages.delete(number);
  }
}

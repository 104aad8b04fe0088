import type { Mail } from './mqtt-mail.ts';

export interface ConfirmationsOptions {
  readonly node: string;
  readonly mail: Mail;
  /** The other nodes that live. */
  readonly others: ReadonlySet<string>;
}

interface Wait {
  readonly source: string;
  readonly number: number;
  /** Nodes that have not confirmed yet; '' is this one. */
  readonly missing: Set<string>;
  readonly done: () => void;
}

/** How long a change waits to be known elsewhere; MQTT does not ask for it, so a slow node delays nobody for longer. */
const confirmMs = 200;

/**
 * Who has heard which announcement of the source `clients`. A node that hears what another announced tells it so, once
 * a turn for all; as announcements are applied in order, the highest number says it all. A node that did not confirm in
 * time is not waited for again until it confirms something.
 */
export class Confirmations {
  readonly #options: ConfirmationsOptions;
  readonly #waits = new Set<Wait>();
  readonly #silent = new Set<string>();
  readonly #heard = new Map<string, number>(); // by source
  readonly #confirmed = new Map<string, number>(); // by node
  /** Node → number that it has to be told. */
  readonly #owed = new Map<string, number>();

  constructor(options: ConfirmationsOptions) {
    this.#options = options;
  }

  /** This node has applied it. */
  heard(source: string, number: number): void {
    this.#heard.set(source, number);
    this.#confirm('', source, number);
  }

  /** The node that announced it wants to know that it was applied here. */
  owe(node: string, number: number): void {
    if (this.#owed.size === 0) setImmediate(() => this.#pay());
    this.#owed.set(node, number);
  }

  /** @param letter of another node: number and node */
  seen(letter: string): void {
    const space = letter.indexOf(' ');
    const [number, node] = [Number(letter.slice(0, space)), letter.slice(space + 1)];
    this.#silent.delete(node);
    this.#confirmed.set(node, number);
    this.#confirm(node, 'clients', number);
  }

  nodeGone(node: string): void {
    this.#silent.delete(node);
    this.#confirmed.delete(node);
    this.#confirm(node, 'clients', Number.POSITIVE_INFINITY);
  }

  /** Everything was read, and sources may have begun to count anew. */
  restart(read: ReadonlyMap<string, number>): void {
    this.#heard.clear();
    this.#confirmed.clear();
    for (const [source, number] of read) this.heard(source, number);
  }

  /** Resolves when this node has applied the announcement, or the bound has passed. */
  here(source: string, number: number): Promise<void> {
    return this.#wait(source, number, []);
  }

  /** Resolves when this node and all others have applied the announcement, or the bound has passed. */
  everywhere(number: number): Promise<void> {
    const missing = [...this.#options.others].filter(
      (node) => !this.#silent.has(node) && (this.#confirmed.get(node) ?? 0) < number,
    );
    return this.#wait('clients', number, missing);
  }

  #wait(source: string, number: number, nodes: readonly string[]): Promise<void> {
    const missing = new Set(nodes);
    if ((this.#heard.get(source) ?? 0) < number) missing.add('');
    if (missing.size === 0) return Promise.resolve();
    return new Promise((resolve) => {
      const done = () => {
        clearTimeout(timer);
        this.#waits.delete(wait);
        resolve();
      };
      const wait: Wait = { source, number, missing, done };
      const timer = setTimeout(() => this.#giveUp(wait), confirmMs);
      this.#waits.add(wait);
    });
  }

  #confirm(node: string, source: string, number: number): void {
    for (const wait of this.#waits) {
      if (wait.source !== source || wait.number > number || !wait.missing.delete(node)) continue;
      if (wait.missing.size === 0) wait.done();
    }
  }

  #giveUp({ missing, done }: Wait): void {
    for (const node of missing) if (node !== '') this.#silent.add(node);
    done();
  }

  #pay(): void {
    const { node: own, mail } = this.#options;
    for (const [node, number] of this.#owed) mail.post(node, 'seen', `${number} ${own}`);
    this.#owed.clear();
  }
}

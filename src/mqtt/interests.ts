import { FilterTrie } from './filter-trie.ts';

/** What clients of other nodes listen to, by node. */
export class Interests {
  readonly filters = new FilterTrie<string, true>();
  readonly #byNode = new Map<string, Set<string>>();
  /** What has not come again since the state lost sight of the others: node and filter. */
  #stale: Map<string, Set<string>> | undefined;

  onInterest(node: string, filter: string, interested: boolean): void {
    this.#stale?.get(node)?.delete(filter);
    if (interested) this.#add(node, filter);
    else this.#remove(node, filter);
  }

  onNodeGone(node: string): void {
    for (const filter of [...(this.#byNode.get(node) ?? [])]) this.#remove(node, filter);
    this.#stale?.delete(node);
  }

  onReset(): void {
    this.#stale = new Map([...this.#byNode].map(([node, filters]) => [node, new Set(filters)]));
  }

  onCurrent(): void {
    for (const [node, filters] of this.#stale ?? []) for (const filter of filters) this.#remove(node, filter);
    this.#stale = undefined;
  }

  /** Nodes where somebody may want a message on this topic. */
  nodesFor(topic: string): readonly string[] {
    if (this.#byNode.size === 0) return none;
    const nodes = new Set<string>();
    this.filters.match(topic, (node) => nodes.add(node));
    return [...nodes];
  }

  #add(node: string, filter: string): void {
    const filters = this.#byNode.get(node) ?? new Set();
    this.#byNode.set(node, filters.add(filter));
    this.filters.set(filter, node, true);
  }

  #remove(node: string, filter: string): void {
    const filters = this.#byNode.get(node);
    if (!filters?.delete(filter)) return;
    if (filters.size === 0) this.#byNode.delete(node);
    this.filters.delete(filter, node);
  }
}

const none: readonly string[] = [];

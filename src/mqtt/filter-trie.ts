/** One level of a filter and what hangs below it. */
interface Level<K, V> {
  readonly next: Map<string, Level<K, V>>;
  readonly values: Map<K, V>;
}

/**
 * Topic filters and who holds them, by levels (MQTT §4.7). Visits no level twice, so a look-up costs at most the number
 * of filters that are there.
 */
export class FilterTrie<K, V> {
  readonly #root: Level<K, V> = level();
  #version = 0;

  /** Changes whenever the set of filters does: an answer of `matches` holds as long as this stays the same. */
  get version(): number {
    return this.#version;
  }

  set(filter: string, key: K, value: V): void {
    let at = this.#root;
    for (const name of filter.split('/')) {
      const next = at.next.get(name) ?? level<K, V>();
      at.next.set(name, next);
      at = next;
    }
    if (at.values.size === 0) this.#version++;
    at.values.set(key, value);
  }

  delete(filter: string, key: K): void {
    const path = [this.#root];
    const names = filter.split('/');
    for (const name of names) {
      const next = path.at(-1)!.next.get(name);
      if (!next) return;
      path.push(next);
    }
    const last = path.at(-1)!;
    if (!last.values.delete(key) || last.values.size > 0) return;
    this.#version++;
    for (let depth = names.length; depth > 0; depth--) {
      const { values, next } = path[depth]!;
      if (values.size > 0 || next.size > 0) return;
      path[depth - 1]!.next.delete(names[depth - 1]!);
    }
  }

  matches(topic: string): boolean {
    return visit(this.#root, topic.split('/'), 0, () => true);
  }

  /** Calls `found` for every holder of every filter that matches; a key that holds several comes several times. */
  match(topic: string, found: (key: K, value: V) => void): void {
    visit(this.#root, topic.split('/'), 0, (values: Map<K, V>) => {
      for (const [key, value] of values) found(key, value);
      return false;
    });
  }
}

function level<K, V>(): Level<K, V> {
  return { next: new Map(), values: new Map() };
}

type Visitor<K, V> = (values: Map<K, V>) => boolean;

/** @returns true as soon as the visitor does. */
function visit<K, V>(at: Level<K, V>, names: readonly string[], depth: number, seen: Visitor<K, V>): boolean {
  const own = depth === 0 && names[0]!.startsWith('$'); // MQTT-4.7.2-1: no wildcard in front of $
  const all = own ? undefined : at.next.get('#');
  if (all && all.values.size > 0 && seen(all.values)) return true;
  if (depth === names.length) return at.values.size > 0 && seen(at.values);
  const exact = at.next.get(names[depth]!);
  if (exact && visit(exact, names, depth + 1, seen)) return true;
  const any = own ? undefined : at.next.get('+');
  return any !== undefined && visit(any, names, depth + 1, seen);
}

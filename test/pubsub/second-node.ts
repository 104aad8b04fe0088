import { pino } from 'pino';
import { type OpenPubSub, openPubSub } from '../../src/pubsub/open-pubsub.ts';
import type { Store } from '../../src/store/store.ts';
import type { Core } from './core.ts';

/** Another node on the same store, whose link a test can slow down. */
export interface SecondNode extends OpenPubSub {
  /** Appends stay on their way until `release`. */
  hold(): void;
  release(): void;
  /** Only now it hears of what changed since the last time; `lost`: that word was lost. */
  hear(lost?: 'lost'): void;
}

export function secondNode({ store, time }: Core): SecondNode {
  const listeners = new Set<(name: string | undefined) => void>();
  let unheard: string[] = [];
  store.onCatalogChange((name) => unheard.push(name!));
  let way = Promise.resolve();
  let release = () => {};
  const own: Pick<Store, 'onCatalogChange' | 'append'> = {
    onCatalogChange(changed) {
      listeners.add(changed);
      return () => listeners.delete(changed);
    },
    async append(...message) {
      await way;
      return store.append(...message);
    },
  };
  const linked = new Proxy(store, {
    get(target, name) {
      const value = Reflect.get(name in own ? own : target, name);
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
  const { clock, schedule } = time;
  return {
    ...openPubSub({ store: linked, clock, schedule, logger: pino({ enabled: false }) }),
    hold() {
      release();
      way = new Promise((resolve) => {
        release = resolve;
      });
    },
    release: () => release(),
    hear(lost) {
      const names = lost ? [undefined] : unheard;
      unheard = [];
      for (const name of names) for (const changed of listeners) changed(name);
    },
  };
}

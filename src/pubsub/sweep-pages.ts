import { setImmediate as nextLoopTurn } from 'node:timers/promises';
import type { Page, PageRequest, Store, StoredSnapshot, StoredSubscription, StoredTopic } from '../store/store.ts';

/** Every subscription of every project, a page at a time. */
export function everySubscription(store: Store, pageSize: number): AsyncGenerator<StoredSubscription> {
  return everyItem(
    (page) => store.listSubscriptions(page),
    ({ subscription }) => subscription.name,
    pageSize,
  );
}

export function everyTopic(store: Store, pageSize: number): AsyncGenerator<StoredTopic> {
  return everyItem(
    (page) => store.listTopics(page),
    ({ topic }) => topic.name,
    pageSize,
  );
}

export function everySnapshot(store: Store, pageSize: number): AsyncGenerator<StoredSnapshot> {
  return everyItem(
    (page) => store.listSnapshots(page),
    ({ snapshot }) => snapshot.name,
    pageSize,
  );
}

async function* everyItem<T>(
  list: (page: PageRequest) => Promise<Page<T>>,
  nameOf: (item: T) => string,
  limit: number,
): AsyncGenerator<T> {
  let after: string | undefined;
  for (;;) {
    const { items, more } = await list({ prefix: '', limit, ...(after !== undefined && { after }) });
    yield* items;
    if (!more) return;
    await nextLoopTurn(); // an embedded store answers at once: without this a long list would hold up everybody else
    after = nameOf(items.at(-1)!);
  }
}

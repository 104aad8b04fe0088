import { openStore } from '../../src/store/open-store.ts';
import type { OpenStoreUnderTest } from '../contract/store.contract.ts';
import { makeTempDirectory } from './temp-directory.ts';

/** A store of its own in a temporary directory. */
export const openLmdbUnderTest: OpenStoreUnderTest = async (clock) => {
  const directory = makeTempDirectory();
  const url = `lmdb:${directory.path}`;
  const under = {
    leasesSurvive: false,
    store: await openStore({ url, clock }),
    async reopen() {
      await under.store.close();
      under.store = await openStore({ url, clock });
      return under.store;
    },
    async remove() {
      await under.store.close();
      directory.remove();
    },
  };
  return under;
};

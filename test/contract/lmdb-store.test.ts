import { openStore } from '../../src/store/open-store.ts';
import { makeTempDirectory } from '../support/temp-directory.ts';
import { storeContract } from './store.contract.ts';

storeContract('lmdb', async (clock) => {
  const directory = makeTempDirectory();
  const url = `lmdb:${directory.path}`;
  const under = {
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
});

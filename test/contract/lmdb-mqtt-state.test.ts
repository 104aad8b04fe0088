import { openLmdbStore } from '../../src/store/lmdb/lmdb-store.ts';
import type { Store } from '../../src/store/store.ts';
import type { OpenMqttDeployment } from '../support/mqtt-deployment.ts';
import { makeTempDirectory } from '../support/temp-directory.ts';
import { mqttStateContract } from './mqtt-state.contract.ts';

/** One node at a time, on one directory. */
const open: OpenMqttDeployment = async (clock, limits) => {
  const directory = makeTempDirectory();
  let store: Store | undefined;
  return {
    async node() {
      store = await openLmdbStore(directory.path, clock);
      return store.mqttState(limits);
    },
    crash: () => store!.close(),
    async remove() {
      await store?.close();
      directory.remove();
    },
  };
};

mqttStateContract('lmdb', open);

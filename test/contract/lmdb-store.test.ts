import { openLmdbUnderTest } from '../support/lmdb-under-test.ts';
import { storeContract } from './store.contract.ts';

storeContract('lmdb', openLmdbUnderTest);

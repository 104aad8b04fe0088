import { openLmdbUnderTest } from '../support/lmdb-under-test.ts';
import { storeModel } from './store.model.ts';

storeModel('lmdb', openLmdbUnderTest, 300);

import { openLmdbUnderTest } from '../support/lmdb-under-test.ts';
import { partitionsContract } from './partitions.contract.ts';

partitionsContract('lmdb', openLmdbUnderTest);

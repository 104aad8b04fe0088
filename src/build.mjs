// What the TypeScript compiler leaves out of dist: files that the sources read at run time.
import { cpSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { bundleProtos } from './api/grpc/bundle-protos.mjs';

const here = (path) => fileURLToPath(new URL(path, import.meta.url));

cpSync(here('store/redis/scripts'), here('../dist/src/store/redis/scripts'), { recursive: true });
await bundleProtos(here('../dist/protocol.json'));

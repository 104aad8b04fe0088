// Makes dist/protocol.json of the .proto files of the services that gRPC serves: Google's own, as the development
// dependencies carry them, and the two of gRPC itself in protos/. Nothing of Google's is committed, and what is
// generated here is data: protobuf.js makes its encoders of it at run time, the same code as its command line tool
// would write ahead (measured: the same speed), and REST paths, reflection and proto3 JSON are read from it too.
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const here = dirname(fileURLToPath(import.meta.url));
const require = createRequire(import.meta.url);

const googleFiles = [
  'google/pubsub/v1/pubsub.proto',
  'google/pubsub/v1/schema.proto',
  'google/iam/v1/iam_policy.proto',
  'google/rpc/status.proto',
  'google/rpc/error_details.proto',
];

/** @param target where the bundle goes; a bundle of the same sources stays as it is. */
export async function bundleProtos(target) {
  const folders = googleFolders();
  const stamp = stampOf(folders);
  if (existsSync(target) && readFileSync(target, 'utf8').startsWith(`{"stamp":"${stamp}"`)) return;
  const root = await load(folders);
  mkdirSync(dirname(target), { recursive: true });
  writeFileSync(target, JSON.stringify({ stamp, root: root.toJSON() }));
}

/** google-gax, which the Pub/Sub client depends on, carries what is common to Google's APIs. */
function googleFolders() {
  const pubsub = dirname(require.resolve('@google-cloud/pubsub/package.json'));
  const gaxEntry = createRequire(join(pubsub, 'package.json')).resolve('google-gax');
  const gax = gaxEntry.slice(0, gaxEntry.lastIndexOf(join('google-gax', 'build')) + 'google-gax'.length);
  return [join(pubsub, 'build/protos'), join(gax, 'build/protos')];
}

const healthFile = join(here, 'protos/health.proto');
const reflectionFile = join(here, 'protos/reflection.proto');

function stampOf(folders) {
  const hash = createHash('sha256');
  const files = [fileURLToPath(import.meta.url), healthFile, reflectionFile];
  for (const file of googleFiles) files.push(find(folders, file));
  for (const file of files) hash.update(readFileSync(file));
  return hash.digest('hex');
}

async function load(folders) {
  const { default: protobuf } = await import('protobufjs');
  const root = new protobuf.Root();
  root.resolvePath = (_origin, file) => find(folders, file);
  root.loadSync([...googleFiles, healthFile, reflectionFile]);
  const reflection = readFileSync(reflectionFile, 'utf8');
  protobuf.parse(reflection.replace('grpc.reflection.v1;', 'grpc.reflection.v1alpha;'), root);
  return root.resolveAll();
}

function find(folders, file) {
  const found = [file, ...folders.map((folder) => join(folder, file))].find(existsSync);
  if (!found) throw new Error(`There is no ${file}; run npm ci.`);
  return found;
}

import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { describe, expect, it } from 'vitest';

/** From the top down; a folder may import folders to its right, never to its left. */
const below: Record<string, readonly string[]> = {
  dashboard: [],
  api: ['bridge', 'devices', 'pubsub', 'store', 'domain', 'telemetry'],
  mqtt: ['bridge', 'devices', 'pubsub', 'store', 'domain', 'telemetry'],
  bridge: ['pubsub', 'store', 'domain', 'telemetry'],
  devices: ['pubsub', 'store', 'domain', 'telemetry'],
  pubsub: ['store', 'domain', 'telemetry'],
  store: ['domain', 'telemetry'],
  telemetry: [],
  config: ['domain'],
  domain: [],
};
/** The composition root, and what starts it: in this process, or in several. */
const top = ['app.ts', 'main.ts', 'config.ts', 'cli', 'workers'];
const drawers = /^(utils?|helpers?|common|managers?|types?|lib|misc)(\.ts)?$/;

interface Import {
  readonly file: string; // from src
  readonly target: string; // from src, or a package
}

const root = join(import.meta.dirname, '..');

function filesUnder(folder: string): string[] {
  return readdirSync(join(root, folder), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && /\.tsx?$/.test(entry.name))
    .map((entry) => relative(root, join(entry.parentPath, entry.name)));
}

function importsOf(file: string): Import[] {
  const text = readFileSync(join(root, file), 'utf8');
  const found = text.matchAll(
    /^(?:import|export)\s(?:[^;'"=()]*?\sfrom\s+)?['"]([^'"]+)['"]|\bimport\(\s*['"]([^'"]+)['"]/gm,
  );
  return [...found].map(([, fixed, dynamic]) => {
    const target = (fixed ?? dynamic)!;
    return { file, target: target.startsWith('.') ? join(dirname(file), target) : target };
  });
}

const room = (path: string) => path.split('/')[1]!;
const imports = filesUnder('src').flatMap(importsOf);
const ours = imports.filter(({ target }) => target.startsWith('src/'));

describe('architecture', () => {
  it('architecture - imports point down only', () => {
    const wrong = ours.filter(({ file, target }) => {
      if (top.includes(room(file))) return false;
      return room(file) !== room(target) && !below[room(file)]?.includes(room(target));
    });
    expect(wrong).toEqual([]);
  });

  it('architecture - every folder of src has its place in the order', () => {
    const folders = readdirSync(join(root, 'src'), { withFileTypes: true }).filter((entry) => entry.isDirectory());
    expect(folders.map(({ name }) => name).filter((name) => !(name in below) && !top.includes(name))).toEqual([]);
  });

  it('architecture - outside the store only its port is named, and the adapters do not know each other', () => {
    const allowed = (file: string) => (room(file) === 'app.ts' ? ['store.ts', 'open-store.ts'] : ['store.ts']);
    const wrong = ours.filter(({ file, target }) => {
      if (room(target) !== 'store') return false;
      if (room(file) !== 'store') return !allowed(file).includes(target.split('/')[2]!);
      const [from, to] = [file.split('/')[2]!, target.split('/')[2]!];
      return ['lmdb', 'redis'].includes(from) && ['lmdb', 'redis'].includes(to) && from !== to;
    });
    expect(wrong).toEqual([]);
  });

  it('architecture - the domain is pure: no packages, no I/O, no clock', () => {
    const domain = filesUnder('src/domain');
    expect(imports.filter(({ file, target }) => room(file) === 'domain' && !target.startsWith('src/'))).toEqual([]);
    const impure = domain.filter((file) =>
      /\bDate\.now\(|\bnew Date\(\)|\bMath\.random\(|\bsetTimeout\(|\bprocess\./.test(
        readFileSync(join(root, file), 'utf8'),
      ),
    );
    expect(impure).toEqual([]);
  });

  it('architecture - the simulator imports nothing of src, and src nothing of the simulator or the tests', () => {
    const simulator = filesUnder('firmware-sim').flatMap(importsOf);
    expect(simulator.filter(({ target }) => target.startsWith('src/'))).toEqual([]);
    expect(imports.filter(({ target }) => /^(firmware-sim|test)\//.test(target))).toEqual([]);
  });

  it('architecture - there is no drawer for what has no place', () => {
    const parts = [...filesUnder('src'), ...filesUnder('firmware-sim'), ...filesUnder('test')];
    expect(parts.filter((path) => path.split('/').some((part) => drawers.test(part)))).toEqual([]);
  });
});

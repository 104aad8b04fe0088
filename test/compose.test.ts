import { execFileSync, spawnSync } from 'node:child_process';
import { cpSync, existsSync, readFileSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { parseFlags } from '../firmware-sim/flags.ts';
import { type Config, ConfigError, readConfig } from '../src/config.ts';
import { listensOf, parseComposeFile, type Service } from './support/compose-file.ts';
import { copiesOf, environmentOf, execForm, parseDockerfile, textsOf } from './support/dockerfile.ts';
import { RedisServer } from './support/redis-server.ts';
import { serverUnderTest } from './support/server-under-test.ts';
import { tempDirectory } from './support/temp-directory.ts';

// There is no container engine where the tests run: what the Dockerfile and compose.yaml say is held against the code,
// and their commands are run as they are written.

const root = join(import.meta.dirname, '..');
const read = (path: string) => readFileSync(join(root, path), 'utf8');
const packageJson = JSON.parse(read('package.json'));
const stages = parseDockerfile(read('Dockerfile'));
const [build, image] = [stages[0]!, stages.at(-1)!];
const compose = parseComposeFile(read('compose.yaml'));
const services = Object.entries(compose.services);
const front = compose.services['front']!;
const frontListens = listensOf(compose.configs['front']!.content);

const imageEnvironment = Object.fromEntries(
  Object.entries(environmentOf(image)).filter(([name]) => name.startsWith('HEADWATER_')),
);
const nodes = services.filter(([, service]) => service.build && !service.entrypoint);

function configOf({ command = [], environment }: Pick<Service, 'command' | 'environment'>): Config {
  const outcome = readConfig({ args: command, env: { ...imageEnvironment, ...environment }, version: '0' });
  if (!('config' in outcome)) throw new Error('The command asks for help or the version.');
  return outcome.config;
}

/** True when the command with these variables ends with 0. */
function runs([command, ...args]: readonly string[], env: Readonly<Record<string, string>> = {}): boolean {
  return spawnSync(command!, args, { env: { ...process.env, ...env }, cwd: root }).status === 0;
}

describe('Dockerfile', () => {
  it('Dockerfile - every stage is on a Node of the majors that package.json allows, and not on whatever is newest', () => {
    const floor = Number(/^>=(\d+)\./.exec(packageJson.engines.node)![1]);
    const majors = stages.map((stage) => Number(/^node:(\d+)-slim$/.exec(stage.image)?.[1]));
    for (const major of majors) expect(major).toBeGreaterThanOrEqual(floor);
    expect(new Set(majors).size).toBe(1);
  });

  it('Dockerfile - what it copies is there, and .dockerignore lets it through', () => {
    const [everything, ...exceptions] = read('.dockerignore')
      .split('\n')
      .filter((line) => line && !line.startsWith('#'));
    expect(everything).toBe('*');
    const sources = copiesOf(build).flatMap((copy) => copy.sources);
    expect(sources.filter((source) => !existsSync(join(root, source)))).toEqual([]);
    expect(exceptions.toSorted()).toEqual(sources.map((source) => `!${source}`).toSorted());
  });

  it('Dockerfile - what it copies is enough for its build, which makes all that is copied on and run', () => {
    const app = tempDirectory();
    for (const { sources, target } of copiesOf(build)) {
      for (const source of sources)
        cpSync(join(root, source), join(app, target, sources.length > 1 ? source : ''), { recursive: true });
    }
    symlinkSync(join(root, 'node_modules'), join(app, 'node_modules'));
    const script = /\bnpm run (\S+)/.exec(textsOf(build, 'RUN').join('\n'))![1]!;
    execFileSync('npm', ['run', '-s', script], { cwd: app });
    for (const { from, sources } of copiesOf(image)) {
      expect(from).toBe(build.name);
      for (const source of sources) expect(existsSync(join(app, source.replace(/^\/app\//, '')))).toBe(true);
    }
    const scripts = [execForm(image, 'ENTRYPOINT'), ...services.map(([, service]) => service.entrypoint ?? [])].flat();
    for (const path of scripts.filter((word) => word.endsWith('.js'))) expect(existsSync(join(app, path))).toBe(true);
  }, 120_000);

  it('Dockerfile - the image has no development dependencies and runs npm no more', () => {
    expect(textsOf(build, 'RUN').at(-1)).toMatch(/&& npm prune --omit=dev --ignore-scripts$/);
    expect(
      [...textsOf(image, 'RUN'), ...execForm(image, 'ENTRYPOINT')].filter((text) => /\bnp[mx]\b/.test(text)),
    ).toEqual([]);
  });

  it('Dockerfile - its entry point is the server, as package.json names it, and gets SIGTERM itself', () => {
    expect(execForm(image, 'ENTRYPOINT')).toEqual(['node', packageJson.bin.headwater]);
    expect(execFileSync('node', [packageJson.bin.headwater, '--version'], { cwd: root }).toString().trim()).toBe(
      packageJson.version,
    );
    expect(textsOf(image, 'STOPSIGNAL')).toEqual(['SIGTERM']);
  });

  it('Dockerfile - the server is not root, and its data directory, a volume, is its own', () => {
    const [user] = textsOf(image, 'USER');
    expect(user).toBe('node');
    const { dataDir } = configOf({ environment: { HEADWATER_ALLOW_ANONYMOUS: 'true' } });
    expect(textsOf(image, 'VOLUME')).toEqual([dataDir]);
    expect(textsOf(image, 'RUN')).toEqual([`install --directory --owner=${user} --group=${user} ${dataDir}`]);
  });

  it('Dockerfile - the image by itself lets nobody in: it does not start without --allow-anonymous (I12)', () => {
    expect(() => configOf({})).toThrow(ConfigError);
    expect(() => configOf({})).toThrow(/lets other machines in.*--allow-anonymous/);
    expect(configOf({ command: ['--allow-anonymous'] }).host).toBe('0.0.0.0');
  });

  it('Dockerfile - it exposes the ports that the server listens on', () => {
    const { mqttPort, httpPort } = configOf({ command: ['--allow-anonymous'] });
    expect(textsOf(image, 'EXPOSE')).toEqual([`${mqttPort} ${httpPort}`]);
  });

  it('Dockerfile - the health check passes beside a server that is ready, and fails without one', async () => {
    const server = await serverUnderTest({ dataDir: tempDirectory() });
    const check = execForm(image, 'HEALTHCHECK');
    const env = { HEADWATER_HTTP_PORT: new URL(server.httpUrl).port };
    expect(runs(check, env)).toBe(true);
    await server.stop();
    expect(runs(check, env)).toBe(false);
  });

  it('Dockerfile - the health check asks the default port unless the environment names another', () => {
    const { httpPort } = configOf({ command: ['--allow-anonymous'] });
    expect(execForm(image, 'HEALTHCHECK').at(-1)).toContain(`(process.env.HEADWATER_HTTP_PORT || ${httpPort})`);
  });
});

describe('compose.yaml', () => {
  it('compose - two nodes on one Redis, a front and a fleet', () => {
    expect(nodes).toHaveLength(2);
    for (const [, node] of nodes) expect(node).toEqual(nodes[0]![1]);
    expect(Object.keys(compose.services).toSorted()).toEqual(
      ['fleet', 'front', ...nodes.map(([name]) => name), 'redis'].toSorted(),
    );
  });

  it('compose - it has no key that Compose would not know: a misspelt one is worse than none', () => {
    const top = Object.keys(compose).filter((key) => !key.startsWith('x-'));
    expect(top.toSorted()).toEqual(['configs', 'name', 'services', 'volumes']);
    const own = 'image build entrypoint command environment ports volumes configs depends_on healthcheck init restart';
    const known = [...own.split(' '), 'stop_grace_period', 'logging'];
    const check = ['test', 'interval', 'timeout', 'retries', 'start_period', 'disable'];
    for (const [, service] of services) {
      expect(Object.keys(service).filter((key) => !known.includes(key))).toEqual([]);
      expect(Object.keys(service.healthcheck ?? {}).filter((key) => !check.includes(key))).toEqual([]);
    }
  });

  it('compose - every variable and flag of a node is a setting with a value that is allowed', () => {
    for (const [, node] of nodes) {
      const { host, allowAnonymous, store } = configOf(node);
      expect({ host, allowAnonymous }).toEqual({ host: '0.0.0.0', allowAnonymous: true });
      const { protocol, hostname, port } = new URL(store);
      expect({ protocol, hostname, port }).toEqual({ protocol: 'redis:', hostname: 'redis', port: '6379' });
    }
  });

  it('compose - what it builds is this directory, and what it pulls has a version', () => {
    for (const [, { image, build }] of services) {
      if (build) expect({ image, build }).toEqual({ image: 'headwater', build: '.' });
      else expect(image).toMatch(/^[a-z]+:\d+(\.\d+)?(-alpine)?$/);
    }
  });

  it('compose - what services depend on is there, and has a health check where they wait for it', () => {
    const imageHasCheck = textsOf(image, 'HEALTHCHECK').length > 0;
    for (const [, { depends_on = {} }] of services) {
      for (const [name, { condition }] of Object.entries(depends_on)) {
        const service = compose.services[name];
        expect(condition).toBe('service_healthy');
        expect(Boolean(service?.healthcheck?.test) || (Boolean(service?.build) && imageHasCheck)).toBe(true);
        expect(service?.healthcheck?.disable).not.toBe(true);
      }
    }
  });

  it('compose - volumes and configurations that are used are declared, and those declared are used', () => {
    const volumes = services.flatMap(([, service]) => (service.volumes ?? []).map((volume) => volume.split(':')[0]!));
    const configs = services.flatMap(([, service]) => (service.configs ?? []).map(({ source }) => source));
    expect(volumes.toSorted()).toEqual(Object.keys(compose.volumes).toSorted());
    expect(configs.toSorted()).toEqual(Object.keys(compose.configs).toSorted());
    expect(compose.services['redis']!.volumes).toEqual(['redis:/data']); // where the image's Redis works
  });

  it('compose - ports are published on loopback only, one for each of the front (I12)', () => {
    const published = services.flatMap(([name, { ports = [] }]) => ports.map((port) => `${name} ${port}`));
    expect(published).toEqual(frontListens.map(({ bind }) => `front 127.0.0.1:${bind}:${bind}`));
  });

  it('compose - the front leads each port to the same port of every node', () => {
    const { mqttPort, httpPort } = configOf(nodes[0]![1]);
    expect(frontListens.map(({ bind }) => bind)).toEqual([mqttPort, httpPort]);
    for (const { bind, servers } of frontListens) {
      expect(servers).toEqual(nodes.map(([host]) => ({ host, port: bind })));
    }
    expect(front.configs).toEqual([{ source: 'front', target: '/usr/local/etc/haproxy/haproxy.cfg' }]); // the image's place
    expect(compose.configs['front']!.content).toMatch(/[^\n]\n$/); // HAProxy wants its last line ended
  });

  it('compose - the front asks each node whether it is ready, at a path that there is', async () => {
    const [, path] = /^\s+option httpchk GET (\S+)$/m.exec(compose.configs['front']!.content)!;
    const [, port] = /^\s+default-server check port (\d+) /m.exec(compose.configs['front']!.content)!;
    expect(Number(port)).toBe(configOf(nodes[0]![1]).httpPort);
    const server = await serverUnderTest({ dataDir: tempDirectory() });
    expect(await (await fetch(`${server.httpUrl}${path}`)).json()).toMatchObject({ status: 'ready' });
    const own = new URL(front.healthcheck!.test!.at(-1)!);
    expect([own.hostname, own.port, own.pathname]).toEqual(['127.0.0.1', port, path]);
    await server.stop();
  });

  it("compose - the fleet's flags are the simulator's, and lead to the front", () => {
    const fleet = compose.services['fleet']!;
    const [mqtt, http] = frontListens.map(({ bind }) => bind);
    const [, shown] = /docker compose run --rm fleet (.+)$/m.exec(read('compose.yaml'))!;
    for (const command of [fleet.command!, shown!.split(' ')]) {
      const { url, verify } = parseFlags(command, 0)!;
      expect(url).toMatchObject({ host: 'front', port: mqtt });
      expect(verify).toBe(`http://front:${http}`);
    }
    expect(Object.keys(fleet.depends_on!)).toEqual(['front']);
  });

  it('compose - Redis takes its command, keeps each write on disk before it answers, and its health check passes', async () => {
    const [program, ...settings] = compose.services['redis']!.command!;
    expect(program).toBe('redis-server');
    const redis = await RedisServer.start({ settings });
    onTestFinished(() => redis.remove());
    const [form, client, ...rest] = compose.services['redis']!.healthcheck!.test!;
    expect(form).toBe('CMD');
    expect(runs([client!, '-p', String(redis.port), ...rest])).toBe(true);
    const setting = (name: string) =>
      execFileSync('redis-cli', ['-p', String(redis.port), 'CONFIG', 'GET', name]).toString();
    expect(setting('appendonly')).toBe('appendonly\nyes\n');
    expect(setting('appendfsync')).toBe('appendfsync\nalways\n');
    expect(setting('maxmemory-policy')).toBe('maxmemory-policy\nnoeviction\n');
    await redis.kill();
    expect(runs([client!, '-p', String(redis.port), ...rest])).toBe(false);
  });

  it('compose - every service comes back after a crash, but for the fleet, and its log has a bound', () => {
    for (const [name, { restart, logging }] of services) {
      expect(restart).toBe(name === 'fleet' ? 'no' : 'unless-stopped');
      expect(logging!.options).toMatchObject({
        'max-size': expect.stringMatching(/^\d+m$/),
        'max-file': expect.anything(),
      });
    }
  });

  it('compose - a node has more time to stop than it takes at most', () => {
    const deadlineMs = Number(/stopDeadlineMs = ([\d_]+);/.exec(read('src/main.ts'))![1]!.replaceAll('_', ''));
    for (const [, node] of nodes) {
      const [, seconds] = /^(\d+)s$/.exec(node.stop_grace_period!)!;
      expect(Number(seconds) * 1000).toBeGreaterThanOrEqual(deadlineMs + 2000);
    }
  });
});

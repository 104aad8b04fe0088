import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { settingKeys } from '../../src/config/settings.ts';
import { type Config, ConfigError, readConfig } from '../../src/config.ts';
import { tempDirectory } from '../support/temp-directory.ts';

interface Sources {
  readonly args?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  readonly yaml?: string;
}

function read({ args = [], env = {}, yaml }: Sources): ReturnType<typeof readConfig> {
  return readConfig({ args: yaml === undefined ? args : [...args, ...fileFlag(yaml)], env, version: '9.8.7' });
}

function fileFlag(yaml: string): string[] {
  const path = join(tempDirectory(), 'headwater.yaml');
  writeFileSync(path, yaml);
  return ['--config', path];
}

function configOf(sources: Sources): Config {
  const outcome = read(sources);
  if (!('config' in outcome)) throw new Error('expected a configuration');
  return outcome.config;
}

/** The lines that the start would end with; the temporary directory's path is taken out. */
function problemsOf(sources: Sources): readonly string[] {
  try {
    read(sources);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return error.problems.map((problem) => problem.replaceAll(/\S*\/(headwater\.yaml)/g, '$1'));
  }
  throw new Error('expected problems');
}

describe('config - where a value comes from', () => {
  it('config - with nothing said, serves this machine only, on the embedded store', () => {
    const config = configOf({});
    expect(config).toMatchObject({ host: '127.0.0.1', mqttPort: 1883, httpPort: 8085, project: 'headwater' });
    expect(config).toMatchObject({ store: 'lmdb:./data', logLevel: 'info', allowAnonymous: false });
    expect(config).toMatchObject({ topics: [], subscriptions: [], routes: [] });
  });

  it('config - a flag wins over the environment, that over the file, that over the default', () => {
    const yaml = 'mqttPort: 1\nhttpPort: 2\nproject: file\n';
    const env = { HEADWATER_MQTT_PORT: '11', HEADWATER_HTTP_PORT: '12' };
    const config = configOf({ args: ['--mqtt-port', '111'], env, yaml });
    expect([config.mqttPort, config.httpPort, config.project, config.host]).toEqual([111, 12, 'file', '127.0.0.1']);
  });

  it('config - the file itself may be named by the environment', () => {
    const [, path] = fileFlag('project: named');
    expect(configOf({ env: { HEADWATER_CONFIG: path! } }).project).toBe('named');
  });

  it('config - an empty variable counts as not set', () => {
    expect(configOf({ env: { HEADWATER_MQTT_PORT: '', HEADWATER_NONSENSE: '' } }).mqttPort).toBe(1883);
  });

  it('config - the store follows the data directory unless it is named', () => {
    expect(configOf({ args: ['--data-dir', '/srv/hw'] }).store).toBe('lmdb:/srv/hw');
    expect(configOf({ args: ['--data-dir', '/srv/hw', '--store=lmdb:/else'] }).store).toBe('lmdb:/else');
  });

  it('config - a store on Redis, and how to use it, from everywhere', () => {
    const yaml = 'store: rediss://me:pw@redis.example:6380/2\nredisPrefix: "fleet-a:"\nredisWait: 1\n';
    const config = configOf({ args: ['--redis-wait-aof'], env: { HEADWATER_WORKERS: '4' }, yaml });
    expect(config).toMatchObject({ store: 'rediss://me:pw@redis.example:6380/2', redisPrefix: 'fleet-a:' });
    expect(config).toMatchObject({ redisWait: 1, redisWaitAof: true, redisTimeoutMs: 2000, workers: 4 });
  });

  it('config - a boolean flag may stand alone or take a value', () => {
    expect(configOf({ args: ['--allow-anonymous', '--mqtt-port', '0'] }).allowAnonymous).toBe(true);
    expect(configOf({ args: ['--allow-anonymous=false', '--default-routes', 'false'] })).toMatchObject({
      allowAnonymous: false,
      defaultRoutes: false,
    });
  });

  it('config - sizes and durations take units everywhere, plain numbers are bytes and milliseconds', () => {
    const yaml = 'mqttPacketBytesMax: 64KiB\nmqttStoreDeadlineMs: 1500\n';
    const config = configOf({ args: ['--mqtt-outbound-bytes-max', '2MB'], yaml });
    expect(config.mqttPacketBytesMax).toBe(65_536);
    expect(config.mqttOutboundBytesMax).toBe(2_000_000);
    expect(config.mqttStoreDeadlineMs).toBe(1500);
    expect(configOf({ env: { HEADWATER_MQTT_STORE_DEADLINE_MS: '10m' } }).mqttStoreDeadlineMs).toBe(600_000);
  });

  it('config - names the TLS files and does not hold what is in them', () => {
    const [, path] = fileFlag('secret');
    const args = ['--mqtts-port', '8883', '--mqtts-cert-file', path!, '--mqtts-key-file', path!];
    expect(configOf({ args })).toMatchObject({ mqttsPort: 8883, mqttsCertFile: path, mqttsKeyFile: path });
  });

  it('config - is frozen to the bottom', () => {
    const config = configOf({ yaml: 'topics: [{ name: projects/p/topics/abc, labels: { a: b } }]' });
    expect(Object.isFrozen(config)).toBe(true);
    expect(Object.isFrozen(config.topics[0]!.value['labels'])).toBe(true);
  });
});

describe('config - what is wrong stops the start (I9)', () => {
  const table: readonly [what: string, sources: Sources, problem: string | RegExp][] = [
    ['an unknown flag', { args: ['--mqt-port', '1'] }, '--mqt-port is not a flag; did you mean --mqtt-port?'],
    ['an unknown flag with =', { args: ['--hots=1'] }, '--hots is not a flag; did you mean --host?'],
    ['a flag like nothing', { args: ['--zzzzzz'] }, '--zzzzzz is not a flag; see --help for those there are.'],
    ['a stray word', { args: ['start'] }, '"start" is not expected here; every setting is a flag, see --help.'],
    ['a flag without its value', { args: ['--host'] }, '--host needs a value; see --help.'],
    [
      'an unknown variable',
      { env: { HEADWATER_MQTTPORT: '1' } },
      'HEADWATER_MQTTPORT is not a setting; did you mean HEADWATER_MQTT_PORT?',
    ],
    [
      'an unknown key',
      { yaml: '\nmqtt-port: 1' },
      'headwater.yaml:2 mqtt-port is not a setting; did you mean mqttPort?',
    ],
    [
      'a port too high',
      { args: ['--http-port', '65536'] },
      /^--http-port is "65536"; it must be a whole number from 0/,
    ],
    ['a port that is no number', { env: { HEADWATER_HTTP_PORT: '0x1' } }, /^HEADWATER_HTTP_PORT is "0x1"; it must be/],
    [
      'a number as text',
      { yaml: 'mqttPort: "1883"' },
      /^headwater.yaml:1 mqttPort is the text "1883"; it must be a whole/,
    ],
    ['a key without value', { yaml: 'mqttPort:' }, /^headwater.yaml:1 mqttPort is empty; it must be a whole number/],
    [
      'a fraction',
      { yaml: 'mqttInflightMax: 1.5' },
      /mqttInflightMax is 1.5; it must be a whole number from 1 to 65535/,
    ],
    ['yes for true', { yaml: 'allowAnonymous: yes' }, /allowAnonymous is the text "yes"; it must be true or false/],
    ['a size too small', { args: ['--mqtt-packet-bytes-max', '1B'] }, /must be a size from 1KiB to 64MiB, such as/],
    ['an unknown unit', { args: ['--mqtt-store-deadline-ms', '5y'] }, /must be a duration from 100ms to 10m, such as/],
    ['a log level', { args: ['--log-level', 'loud'] }, /must be one of trace, debug, info, warn, error, fatal, silent/],
    ['an empty host', { args: ['--host', ''] }, /^--host is ""; it must be an IP address or a host name/],
    ['a project', { args: ['--project', 'a/b'] }, /^--project is "a\/b"; it must be 1 to 100 letters/],
    [
      'the file in the file',
      { yaml: 'config: x' },
      'headwater.yaml:1 config has no meaning in the file itself; remove it.',
    ],
    ['a file that is not there', { args: ['--config', '/nowhere/x'] }, /\/nowhere\/x cannot be read: ENOENT/],
    ['a list for a file', { yaml: '- a' }, 'headwater.yaml must hold lines of "key: value".'],
    ['broken YAML', { yaml: 'a: [' }, /^headwater.yaml:1 is not valid YAML: /],
    [
      'a key twice',
      { yaml: 'mqttPort: 1\nmqttPort: 2' },
      /^headwater.yaml:2 is not valid YAML: Map keys must be unique/,
    ],
    ['aliases that unfold', { yaml: bomb() }, /is not valid YAML: Excessive alias count/],
    [
      'workers on the embedded store',
      { args: ['--workers', '2'] },
      '--workers is 2, and the embedded store belongs to one process; name a redis:// store with --store, or leave it out.',
    ],
    [
      'replicas of the embedded store',
      { args: ['--store', 'lmdb:./data'], yaml: 'redisWait: 1' },
      /yaml:1 redisWait has no meaning for the embedded store, which has no replicas; name a redis:/,
    ],
    [
      'WAITAOF on the embedded store',
      { args: ['--redis-wait-aof'] },
      /^--redis-wait-aof has no meaning for the embedded/,
    ],
    ['more workers than are allowed', { args: ['--store', 'redis://h', '--workers', '65'] }, /from 1 to 64\.$/],
    [
      'a prefix with a brace',
      { args: ['--redis-prefix', '{a}:'] },
      /^--redis-prefix is "\{a\}:"; it must be 1 to 64 letters/,
    ],
    ['a prefix that is a pattern', { args: ['--redis-prefix', 'a*'] }, /^--redis-prefix is "a\*"/],
    ['no prefix', { args: ['--redis-prefix', ''] }, /^--redis-prefix is ""/],
    ['more partitions than a topic has', { args: ['--topic-partitions', '257'] }, /a whole number from 1 to 256\.$/],
    [
      'TLS without its files',
      { args: ['--mqtts-port', '8883'] },
      'MQTT over TLS needs --mqtts-port, --mqtts-cert-file and --mqtts-key-file; give all of them or none.',
    ],
    [
      'a store of no kind',
      { args: ['--store', 'pg://u:pw@h'] },
      /^--store is "pg:\/\/…@h"; it must be lmdb: and the path/,
    ],
    [
      'one port twice',
      { args: ['--mqtt-port', '8085'] },
      '--mqtt-port and --http-port are both 8085; each needs a port of its own.',
    ],
  ];
  for (const [what, sources, problem] of table) {
    it(`config - refuses ${what}`, () => {
      const problems = problemsOf(sources);
      expect(problems).toEqual([typeof problem === 'string' ? problem : expect.stringMatching(problem)]);
    });
  }

  it('config - reports everything at once, from every source, values that lose included', () => {
    const yaml = 'mqttPort: no\nlogLevl: info\n';
    const problems = problemsOf({ args: ['--mqtt-port', '1', '--nope'], env: { HEADWATER_HTTP_PORT: 'x' }, yaml });
    expect(problems).toHaveLength(4);
  });

  it('config - refuses TLS files that cannot be read, each by its name', () => {
    const args = [
      '--mqtts-port',
      '0',
      '--mqtts-cert-file',
      '/nowhere/cert.pem',
      '--mqtts-key-file',
      '/nowhere/key.pem',
    ];
    expect(problemsOf({ args })).toEqual([
      '--mqtts-cert-file /nowhere/cert.pem cannot be read: ENOENT.',
      '--mqtts-key-file /nowhere/key.pem cannot be read: ENOENT.',
    ]);
  });

  it('config - a password in a store address stays out of the message', () => {
    const problems = problemsOf({ args: ['--store', 'postgres://me:secret@db/x'], yaml: 'store: redis://me:secret@r' });
    expect(problems.join()).not.toContain('secret');
  });
});

/** Ten lists of ten of the list before: 10^9 entries if anyone wrote them out. */
function bomb(): string {
  const lists = Array.from({ length: 9 }, (_, i) => `l${i + 1}: &l${i + 1} [${Array(10).fill(`*l${i}`).join(', ')}]`);
  return ['l0: &l0 [x]', ...lists].join('\n');
}

describe('config - beyond this machine (I12)', () => {
  for (const host of ['127.0.0.1', '127.8.9.1', '::1', '::ffff:127.0.0.1', 'localhost']) {
    it(`config - ${host} is this machine`, () => expect(configOf({ args: ['--host', host] }).host).toBe(host));
  }
  for (const host of [
    '0.0.0.0',
    '::',
    '192.168.1.2',
    '127.1',
    '127.0.0.1.example.com',
    'broker.local',
    '::ffff:10.0.0.1',
  ]) {
    it(`config - ${host} is refused without credentials, unless anonymous access is allowed (I12)`, () => {
      expect(problemsOf({ args: ['--host', host] })).toEqual([
        `--host ${host} lets other machines in, and no credentials are configured; listen on 127.0.0.1, or set --allow-anonymous if everyone who can reach it may publish and pull.`,
      ]);
      expect(configOf({ args: ['--host', host, '--allow-anonymous'] }).host).toBe(host);
    });
  }
});

describe('config - what the file declares', () => {
  it('config - topics and subscriptions come through as they are, with their place', () => {
    const yaml = [
      'topics:',
      '  - name: projects/p/topics/abc',
      '    messageRetentionDuration: 600s',
      'subscriptions:',
      '  - name: projects/p/subscriptions/def',
      '    topic: projects/p/topics/abc',
      '    retryPolicy: { minimumBackoff: 1s }',
    ].join('\n');
    const { topics, subscriptions } = configOf({ yaml });
    expect(topics.map(({ value }) => value)).toEqual([
      { name: 'projects/p/topics/abc', messageRetentionDuration: '600s' },
    ]);
    expect(subscriptions[0]!.value['retryPolicy']).toEqual({ minimumBackoff: '1s' });
    expect(subscriptions[0]!.where).toMatch(/headwater\.yaml:5 subscriptions\[0\]$/);
  });

  it('config - a topic may say how many partitions it has, beside what the API knows of it', () => {
    const yaml = 'topics:\n  - { name: projects/p/topics/abc, partitions: 8 }\n  - { name: projects/p/topics/def }\n';
    const { topics } = configOf({ yaml });
    expect(topics.map(({ value, partitions }) => ({ ...value, partitions }))).toEqual([
      { name: 'projects/p/topics/abc', partitions: 8 },
      { name: 'projects/p/topics/def', partitions: undefined },
    ]);
    expect(topics[0]!.value).not.toHaveProperty('partitions'); // the decoder of the API would refuse it
  });

  it('config - routes come through as definitions', () => {
    const routes = [{ filter: 'a/{b}', topic: 'site-{b}', attributes: { kind: 'env' }, orderingKey: '{b}', name: 'r' }];
    expect(configOf({ yaml: JSON.stringify({ routes }) }).routes).toEqual(routes);
  });

  const table: readonly [what: string, yaml: string, problems: readonly (string | RegExp)[]][] = [
    ['topics that are no list', 'topics: { a: 1 }', ['headwater.yaml:1 topics must be a list, one "- " an entry.']],
    ['a topic that is a word', 'topics:\n  - abc', ['headwater.yaml:2 topics[0] must be a mapping of fields.']],
    [
      'partitions that no topic has',
      'topics:\n  - { name: projects/p/topics/abc, partitions: 0 }\n  - { name: projects/p/topics/def, partitions: "4" }',
      [
        'headwater.yaml:2 topics[0].partitions must be a whole number from 1 to 256.',
        'headwater.yaml:3 topics[1].partitions must be a whole number from 1 to 256.',
      ],
    ],
    [
      'partitions that are said twice',
      'topics: [{ name: projects/p/topics/abc, partitions: 4, labels: { headwater-partitions: "4" } }]',
      ['headwater.yaml:1 topics[0] has partitions and the label headwater-partitions; give one of them.'],
    ],
    [
      'a subscription without name',
      'subscriptions: [{}]',
      [/^headwater.yaml:1 subscriptions\[0\] has no name; it must/],
    ],
    [
      'a route with wrong fields',
      'routes:\n  - filtre: x\n    topic: 3\n    attributes: { a: 1 }',
      [
        'headwater.yaml:2 routes[0].filtre is no field of a route; did you mean filter?',
        'headwater.yaml:2 routes[0] has no filter; a route needs a filter and a topic.',
        'headwater.yaml:2 routes[0].topic must be text.',
        'headwater.yaml:2 routes[0].attributes.a must be text; put quotes around it.',
      ],
    ],
    [
      'every route with a wrong rule',
      'routes:\n  - { filter: "a/{b", topic: abc }\n  - { filter: a, topic: "x-{y}" }',
      [
        /^headwater.yaml:2 routes\[0\]: Route "a\/\{b": The level "\{b"/,
        /^headwater.yaml:3 routes\[1\]: Route "a": .*"\{y\}"/,
      ],
    ],
    [
      'two routes of one name',
      'routes: [{ filter: a, topic: abc }, { filter: a, topic: def }]',
      [/Two routes are named "a"; give each a name of its own/],
    ],
  ];
  for (const [what, yaml, problems] of table) {
    it(`config - refuses ${what}`, () => {
      const expected = problems.map((problem) =>
        typeof problem === 'string' ? problem : expect.stringMatching(problem),
      );
      expect(problemsOf({ yaml })).toEqual(expected);
    });
  }
});

describe('config - what it prints', () => {
  it('config - --help names every setting with its default and its variable', () => {
    const outcome = read({ args: ['--help', '--nonsense'] });
    const text = 'print' in outcome ? outcome.print.replaceAll(/\s+/g, ' ') : '';
    for (const key of settingKeys) {
      const words = key.replaceAll(/[A-Z]/g, (letter) => `_${letter}`);
      expect(text).toContain(`--${words.replaceAll('_', '-').toLowerCase()} `);
      expect(text).toContain(`env: HEADWATER_${words.toUpperCase()})`);
    }
    expect(text).toContain('(default: 1MiB, env: HEADWATER_MQTT_PACKET_BYTES_MAX)');
  });

  it('config - --version prints the version', () => {
    expect(read({ args: ['--version'] })).toEqual({ print: '9.8.7\n' });
  });
});

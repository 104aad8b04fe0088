import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type ApiUnderTest, base64, openApi } from './api-under-test.ts';

/*
 * Row 9 of "First light", and I9: every limit of Pub/Sub's fields, and every way to get the JSON or the path wrong, is
 * answered with the documented code and a sentence that says what is allowed; nothing is stored by halves; the server
 * stays up.
 */

const project = 'projects/bad-input';
const topic = `${project}/topics/good`;
const subscription = `${project}/subscriptions/good`;
const strict = `${project}/subscriptions/strict`;
const detached = `${project}/subscriptions/detached`;
const newTopic = `${project}/topics/new-topic`;
const newSubscription = `${project}/subscriptions/new-subscription`;
const newSnapshot = `${project}/snapshots/new-snapshot`;

let api: ApiUnderTest;

beforeAll(async () => {
  api = await openApi({ limits: { bodyBytesMax: 14_000_000 } });
  await api.call('PUT', topic);
  await api.call('PUT', subscription, { topic });
  await api.call('PUT', strict, { topic, enableExactlyOnceDelivery: true });
  await api.call('PUT', detached, { topic });
  await api.call('POST', `${detached}:detach`);
  await api.call('POST', `${topic}:publish`, { messages: [{ data: base64('the only one') }] });
});
afterAll(() => api.close());

/** Everything that a refused request could have left behind. */
async function everythingStored() {
  const lists = ['topics', 'subscriptions', 'snapshots'].map((each) => api.call('GET', `${project}/${each}`));
  const stats = [subscription, strict].map((each) => api.pubsub.subscriptions.stats(each));
  return { lists: await Promise.all(lists), stats: await Promise.all(stats) };
}

interface BadInput {
  readonly what: string;
  readonly verb?: string; // POST
  readonly path: string;
  readonly body?: unknown;
  readonly status?: number; // 400
  readonly code?: string; // INVALID_ARGUMENT
  /** What the message has to say. */
  readonly says: readonly string[];
}

const publish = (...messages: unknown[]) => ({ path: `${topic}:publish`, body: { messages } });
const attribute = (key: string, value = 'v') => publish({ attributes: { [key]: value } });
const create = (settings: object) => ({ verb: 'PUT', path: newSubscription, body: { topic, ...settings } });
const createTopic = (settings: object) => ({ verb: 'PUT', path: newTopic, body: settings });
const topicCalled = (id: string) => ({ verb: 'PUT', path: `${project}/topics/${id}` });
const patch = (body: object) => ({ verb: 'PATCH', path: subscription, body });
const pull = (body: object) => ({ path: `${subscription}:pull`, body });
const deadLetter = (policy: object) => create({ deadLetterPolicy: { deadLetterTopic: topic, ...policy } });
const many = (count: number, of: (index: number) => unknown) => Array.from({ length: count }, (_, index) => of(index));
const entries = (count: number) => Object.fromEntries(many(count, (i) => [`k${i}`, 'v']) as [string, string][]);

const json: BadInput[] = [
  { what: 'not JSON', path: `${topic}:publish`, body: '{"messages": [', says: ['not valid JSON'] },
  {
    what: 'bytes that are not UTF-8',
    path: `${topic}:publish`,
    body: new Uint8Array([0x7b, 0xff, 0x7d]),
    says: ['UTF-8'],
  },
  {
    what: 'a list for a body',
    path: `${topic}:publish`,
    body: [],
    says: ['The body must be a JSON object, not an array'],
  },
  {
    what: 'an unknown field',
    path: `${topic}:publish`,
    body: { message: [] },
    says: ['"message"', 'known here: messages'],
  },
  {
    what: 'an unknown nested field',
    ...publish({ data: '', atributes: {} }),
    says: ['"messages[0].atributes"', 'attributes'],
  },
  {
    what: 'a field of another type',
    ...create({ ackDeadlineSeconds: [20] }),
    says: ['ackDeadlineSeconds', 'whole number'],
  },
  {
    what: 'a field given twice',
    ...create({ ackDeadlineSeconds: 20, ack_deadline_seconds: 20 }),
    says: ['given twice'],
  },
  {
    what: 'a malformed duration',
    ...create({ messageRetentionDuration: '1h' }),
    says: ['messageRetentionDuration', '"600s"'],
  },
  { what: 'a malformed time', path: `${subscription}:seek`, body: { time: 'noon' }, says: ['time', 'RFC 3339'] },
  { what: 'data that is not base64', ...publish({ data: '<html>' }), says: ['messages[0].data', 'base64'] },
  { what: 'half a surrogate pair', ...publish({ attributes: { a: '\ud800' } }), says: ['surrogate', 'well-formed'] },
  { what: 'a body past the bound', path: `${topic}:publish`, body: 'x'.repeat(14_000_001), says: ['14000000 bytes'] },
  {
    what: 'an unknown query parameter',
    verb: 'GET',
    path: `${project}/topics?page=2`,
    says: ['"page"', 'pageSize, pageToken'],
  },
];

const paths: BadInput[] = [
  {
    what: 'no such method',
    path: `${topic}:purge`,
    status: 404,
    code: 'NOT_FOUND',
    says: ['topics/*:purge', '/openapi.json'],
  },
  {
    what: 'a verb the path has not',
    path: topic,
    status: 404,
    code: 'NOT_FOUND',
    says: ['POST', 'PUT, GET, PATCH, DELETE'],
  },
  { what: 'an encoded slash in an id', ...topicCalled('a%2Fb'), says: ['"a%2Fb"', 'id'] },
  { what: 'an id that steps out', verb: 'DELETE', path: `${project}/topics/%2e%2e%2fgood`, says: ['id'] },
  { what: 'an id of two characters', ...topicCalled('ab'), says: ['"ab"', '3 to 255 characters'] },
  { what: 'an id of 256 characters', ...topicCalled('a'.repeat(256)), says: ['3 to 255 characters'] },
  { what: 'an id that starts with a digit', ...topicCalled('1abc'), says: ['a letter first'] },
  { what: 'an id that starts with goog', ...topicCalled('google'), says: ['"goog"', 'reserved'] },
  { what: 'an id with a character too many', ...topicCalled('a%20b'), says: ['"a b"', '- _ . ~ + %'] },
  { what: 'another name in the body', ...createTopic({ name: topic }), says: [topic, newTopic] },
];

const definitions: BadInput[] = [
  { what: 'a topic that exists', verb: 'PUT', path: topic, status: 409, code: 'ALREADY_EXISTS', says: [topic] },
  {
    what: 'topic retention under 10 minutes',
    ...createTopic({ messageRetentionDuration: '599s' }),
    says: ['599s', '600s'],
  },
  { what: 'topic retention over 31 days', ...createTopic({ messageRetentionDuration: '2678401s' }), says: ['31 d'] },
  { what: 'a label key in capitals', ...createTopic({ labels: { Env: 'x' } }), says: ['"Env"', 'lower-case'] },
  { what: 'a label value too long', ...createTopic({ labels: { env: 'x'.repeat(64) } }), says: ['up to 63'] },
  { what: '65 labels', ...createTopic({ labels: entries(65) }), says: ['65 labels', '64'] },
  {
    what: 'a setting that is not served',
    ...createTopic({ kmsKeyName: 'k' }),
    status: 501,
    code: 'UNIMPLEMENTED',
    says: ['kmsKeyName', 'not served'],
  },
  {
    what: 'push without encryption',
    ...create({ pushConfig: { pushEndpoint: 'http://x/' } }),
    status: 400,
    code: 'INVALID_ARGUMENT',
    says: ['push_endpoint', 'https'],
  },
  {
    what: 'a topic that is not there',
    ...create({ topic: newTopic }),
    status: 404,
    code: 'NOT_FOUND',
    says: ['Subscription topic does not exist'],
  },
  { what: 'no topic', ...create({ topic: null }), says: ['projects/{project}/topics/{topic}'] },
  {
    what: 'an ack deadline of 9 s',
    ...create({ ackDeadlineSeconds: 9 }),
    says: ['ack_deadline_seconds', '10s', '600s'],
  },
  { what: 'an ack deadline of 601 s', ...create({ ackDeadlineSeconds: 601 }), says: ['ack_deadline_seconds', '600s'] },
  {
    what: 'retention under 10 minutes',
    ...create({ messageRetentionDuration: '1s' }),
    says: ['message_retention_duration', '600s'],
  },
  { what: 'retention over 31 days', ...create({ messageRetentionDuration: '2678400.001s' }), says: ['31 d'] },
  {
    what: 'a ttl under a day',
    ...create({ expirationPolicy: { ttl: '86399s' } }),
    says: ['expiration_policy.ttl', '86400s'],
  },
  { what: 'a filter over 256 bytes', ...create({ filter: `attributes:${'k'.repeat(256)}` }), says: ['filter', '256'] },
  { what: 'a filter that does not parse', ...create({ filter: 'attributes.a = b AND' }), says: ['filter'] },
  {
    what: 'a filter that mixes AND and OR',
    ...create({ filter: 'attributes:a AND attributes:b OR attributes:c' }),
    says: ['parentheses'],
  },
  {
    what: '4 delivery attempts',
    ...deadLetter({ maxDeliveryAttempts: 4 }),
    says: ['max_delivery_attempts', '5', '100'],
  },
  { what: '101 delivery attempts', ...deadLetter({ maxDeliveryAttempts: 101 }), says: ['5', '100'] },
  {
    what: 'a dead letter topic that is not there',
    ...deadLetter({ deadLetterTopic: newTopic }),
    status: 404,
    code: 'NOT_FOUND',
    says: [newTopic],
  },
  {
    what: 'a backoff over 600 s',
    ...create({ retryPolicy: { maximumBackoff: '601s' } }),
    says: ['maximum_backoff', '600s'],
  },
  {
    what: 'a negative backoff',
    ...create({ retryPolicy: { minimumBackoff: '-1s' } }),
    says: ['minimum_backoff', '0s'],
  },
  {
    what: 'a minimum backoff over the maximum',
    ...create({ retryPolicy: { minimumBackoff: '60s', maximumBackoff: '30s' } }),
    says: ['minimum_backoff', '60s', '30s'],
  },
  { what: 'detached from the start', ...create({ detached: true }), says: ['detached', ':detach'] },
  {
    what: 'an update without a mask',
    ...patch({ subscription: { labels: {} } }),
    says: ['mask is empty', 'ack_deadline_seconds'],
  },
  {
    what: 'an update of an unknown field',
    ...patch({ subscription: {}, updateMask: 'ackDeadline' }),
    says: ['"ack_deadline"', 'ack_deadline_seconds'],
  },
  {
    what: 'an update of an immutable field',
    ...patch({ subscription: { filter: '' }, updateMask: 'labels,filter' }),
    says: ['filter', 'cannot be changed'],
  },
  {
    what: 'an update with a bad value beside a good one',
    ...patch({ subscription: { labels: { a: 'b' }, ackDeadlineSeconds: 5 }, updateMask: 'labels,ackDeadlineSeconds' }),
    says: ['5s', '10s'],
  },
  {
    what: 'a snapshot of nothing',
    verb: 'PUT',
    path: newSnapshot,
    body: {},
    says: ['projects/{project}/subscriptions/{subscription}'],
  },
  {
    what: 'a snapshot of what is detached',
    verb: 'PUT',
    path: newSnapshot,
    body: { subscription: detached },
    code: 'FAILED_PRECONDITION',
    says: ['detached'],
  },
  { what: 'a negative page size', verb: 'GET', path: `${project}/topics?pageSize=-1`, says: ['-1'] },
  {
    what: 'a page token of another list',
    verb: 'GET',
    path: `${project}/topics?pageToken=${base64('projects/x/topics/abc')}`,
    says: ['page token'],
  },
];

const messages: BadInput[] = [
  { what: 'no messages', ...publish(), says: ['no messages'] },
  { what: '1001 messages', ...publish(...many(1001, () => ({ data: base64('x') }))), says: ['1001', '1000'] },
  {
    what: 'an empty message',
    ...publish({ data: base64('x') }, {}),
    says: ['Message 2', 'data or at least one attribute'],
  },
  { what: 'more than 10 MB', ...publish({ data: base64('x'.repeat(10_000_001)) }), says: ['10000000'] },
  { what: '101 attributes', ...publish({ attributes: entries(101) }), says: ['101 attributes', '100'] },
  { what: 'an attribute key of 257 bytes', ...attribute(`x${'é'.repeat(128)}`), says: ['257 bytes', '256'] },
  { what: 'an empty attribute key', ...attribute(''), says: ['empty key'] },
  { what: 'an attribute key that starts with goog', ...attribute('googclient'), says: ['"goog"', 'reserved'] },
  { what: 'an attribute value of 1025 bytes', ...attribute('k', 'x'.repeat(1025)), says: ['1025 bytes', '1024'] },
  {
    what: 'an ordering key of 1025 bytes',
    ...publish({ data: base64('x'), orderingKey: 'k'.repeat(1025) }),
    says: ['1025 bytes', '1024'],
  },
  {
    what: 'two ordering keys in one request',
    ...publish({ data: base64('x'), orderingKey: 'a' }, { data: base64('x'), orderingKey: 'b' }),
    says: ['ordering key'],
  },
  {
    what: 'a publish to no topic',
    path: `${newTopic}:publish`,
    body: { messages: [{ data: base64('x') }] },
    status: 404,
    code: 'NOT_FOUND',
    says: [newTopic],
  },
  { what: 'a pull of no messages', ...pull({ maxMessages: 0 }), says: ['maxMessages is 0', 'at least 1'] },
  { what: 'a pull of minus one', ...pull({ maxMessages: -1 }), says: ['maxMessages is -1'] },
  { what: 'a pull that does not say how many', ...pull({}), says: ['maxMessages'] },
  {
    what: 'a pull of what is detached',
    path: `${detached}:pull`,
    body: { maxMessages: 1 },
    code: 'FAILED_PRECONDITION',
    says: ['detached'],
  },
  {
    what: 'a pull of nothing',
    path: `${newSubscription}:pull`,
    body: { maxMessages: 1 },
    status: 404,
    code: 'NOT_FOUND',
    says: [newSubscription],
  },
  { what: 'no ack ids', path: `${subscription}:acknowledge`, body: { ackIds: [] }, says: ['at least one'] },
  {
    what: 'a malformed ack id',
    path: `${subscription}:acknowledge`,
    body: { ackIds: ['nonsense'] },
    says: ['nonsense'],
  },
  {
    what: 'a malformed ack id, exactly once',
    path: `${strict}:acknowledge`,
    body: { ackIds: ['a.b.c'] },
    says: ['a.b.c'],
  },
  {
    what: 'an ack deadline of 601 s for a message',
    path: `${subscription}:modifyAckDeadline`,
    body: { ackIds: ['x'], ackDeadlineSeconds: 601 },
    says: ['601', '600'],
  },
  {
    what: 'a negative ack deadline for a message',
    path: `${subscription}:modifyAckDeadline`,
    body: { ackIds: ['x'], ackDeadlineSeconds: -1 },
    says: ['-1'],
  },
  { what: 'a seek to nothing', path: `${subscription}:seek`, body: {}, says: ['time or snapshot'] },
  {
    what: 'a seek to two things',
    path: `${subscription}:seek`,
    body: { time: '2026-01-01T00:00:00Z', snapshot: newSnapshot },
    says: ['time and snapshot'],
  },
  {
    what: 'a seek to no snapshot',
    path: `${subscription}:seek`,
    body: { snapshot: newSnapshot },
    status: 404,
    code: 'NOT_FOUND',
    says: [newSnapshot],
  },
];

describe.each([
  ['JSON', json],
  ['paths', paths],
  ['definitions', definitions],
  ['messages', messages],
])('I9 bad input over REST: %s', (_, cases) => {
  it.each(cases)(
    'bad input - $what',
    async ({ verb = 'POST', path, body, status = 400, code = 'INVALID_ARGUMENT', says }) => {
      const before = await everythingStored();
      const answer = await api.call(verb, path, body);
      expect(answer).toMatchObject({ status, body: { error: { code: status, status: code } } });
      for (const part of says) expect(answer.body.error.message).toContain(part);
      expect(await everythingStored()).toEqual(before);
      expect(api.log).toEqual([]); // nothing of it was a fault of the server
    },
  );
});

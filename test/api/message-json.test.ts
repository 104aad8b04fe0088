import { describe, expect, it } from 'vitest';
import { publishMessages } from '../../src/api/json/publish-json.ts';
import { pullReply } from '../../src/api/json/received-json.ts';
import { expectRefusal } from '../support/refusal.ts';

const read = (json: unknown) => publishMessages.read(json, 'messages');
const bytes = (data: Uint8Array) => Buffer.from(data).toString();

describe('the JSON of a publish', () => {
  it('publish - data, attributes and ordering key are read, in either spelling', () => {
    const attributes = { unit: '°C', empty: '' };
    const [camel, snake] = read([
      { data: 'MjE=', attributes, orderingKey: 'k' },
      { data: 'MjE', attributes, ordering_key: 'k' },
    ]);
    for (const message of [camel!, snake!]) {
      expect({ ...message, data: bytes(message.data) }).toEqual({ data: '21', attributes, orderingKey: 'k' });
    }
  });

  it('publish - null is absent, and what the server sets is ignored', () => {
    const [message] = read([
      { data: null, attributes: null, orderingKey: null, messageId: '5', message_id: '6', publishTime: 'never' },
    ]);
    expect({ ...message, data: bytes(message!.data) }).toEqual({ data: '', attributes: {}, orderingKey: '' });
  });

  it('publish - an attribute may be called __proto__ and stays an attribute', () => {
    const [message] = read(JSON.parse('[{"attributes":{"__proto__":"x","constructor":"y"}}]'));
    expect(Object.entries(message!.attributes)).toEqual([
      ['__proto__', 'x'],
      ['constructor', 'y'],
    ]);
  });

  it.each([
    ['not a list', {}, 'messages must be an array of messages, not an object'],
    ['a message that is null', [null], 'messages[0] must be a JSON object, not null'],
    ['a message that is a list', [[]], 'messages[0] must be a JSON object, not an array'],
    ['a message that is a string', [{ data: 'MjE=' }, 'x'], 'messages[1] must be a JSON object, not "x"'],
    [
      'an unknown field',
      [{}, { payload: 'MjE=' }],
      'Unknown field "messages[1].payload"; known here: data, attributes, orderingKey',
    ],
    [
      'data that is not base64',
      [{ data: 'a!b' }],
      'messages[0].data must be bytes in base64, standard or URL-safe, not "a!b"',
    ],
    ['data that is a number', [{ data: 21 }], 'messages[0].data must be bytes in base64'],
    [
      'an attribute that is a number',
      [{ attributes: { a: 1 } }],
      'messages[0].attributes["a"] must be a string, not 1',
    ],
    [
      'half a surrogate in an attribute',
      [{ attributes: { a: '\udc00' } }],
      'messages[0].attributes["a"] holds half of a surrogate pair',
    ],
    [
      'half a surrogate in an attribute key',
      [{ attributes: { '\udc00': '' } }],
      'a key of messages[0].attributes holds half',
    ],
    [
      'half a surrogate in an ordering key',
      [{ orderingKey: '\ud800' }],
      'messages[0].orderingKey holds half of a surrogate pair',
    ],
    ['an ordering key that is a number', [{ orderingKey: 7 }], 'messages[0].orderingKey must be a string, not 7'],
  ])('publish - %s is refused', async (_, json, says) => {
    await expectRefusal(() => read(json), 'INVALID_ARGUMENT', says);
  });
});

describe('the JSON of a pull', () => {
  const message = {
    data: Buffer.from([0xfb, 0xff]),
    attributes: { a: '"\n' },
    orderingKey: 'k"',
    messageId: '77',
    publishMs: 1_700_000_000_123,
  };

  const bytes = 9; // of no interest to JSON

  it('pull - every field is there, bytes in the standard alphabet', () => {
    expect(JSON.parse(JSON.stringify(pullReply([{ ackId: 'a"1', message, bytes, deliveryAttempt: 3 }])))).toEqual({
      receivedMessages: [
        {
          ackId: 'a"1',
          message: {
            data: '+/8=',
            attributes: { a: '"\n' },
            messageId: '77',
            publishTime: '2023-11-14T22:13:20.123Z',
            orderingKey: 'k"',
          },
          deliveryAttempt: 3,
        },
      ],
    });
  });

  it('pull - default values are left out, an empty list too', () => {
    const bare = { ...message, data: new Uint8Array(0), orderingKey: '' };
    const reply = pullReply([
      { ackId: '1', message: bare, bytes, deliveryAttempt: 0 },
      { ackId: '2', message: { ...message, attributes: {}, publishMs: 1_700_000_001_000 }, bytes, deliveryAttempt: 0 },
    ]);
    expect(JSON.parse(JSON.stringify(reply))).toEqual({
      receivedMessages: [
        { ackId: '1', message: { attributes: { a: '"\n' }, messageId: '77', publishTime: '2023-11-14T22:13:20.123Z' } },
        {
          ackId: '2',
          message: { data: '+/8=', messageId: '77', publishTime: '2023-11-14T22:13:21Z', orderingKey: 'k"' },
        },
      ],
    });
    expect(pullReply([])).toEqual({});
  });

  it('pull - data that is a view into a larger buffer is only the view', () => {
    const view = new Uint8Array(Buffer.from('xxhixx')).subarray(2, 4);
    const reply = pullReply([{ ackId: '1', message: { ...message, data: view }, bytes, deliveryAttempt: 0 }]);
    expect(reply).toMatchObject({ receivedMessages: [{ message: { data: 'aGk=' } }] });
  });
});

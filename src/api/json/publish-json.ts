import type { Attributes, Message } from '../../domain/message.ts';
import { base64, decodeBase64 } from './base64.ts';
import { type JsonField, objectSchema, readObject, wrongType } from './json-field.ts';
import { isText, isTextMap, text, textMap } from './scalar-fields.ts';
import { outputOnly } from './unserved-field.ts';

/** google.pubsub.v1 PubsubMessage, as a publisher sends it. */
const messageFields = {
  data: base64('At most 10 MB in one request.'),
  attributes: textMap('At most 100; a message needs data or at least one attribute.'),
  orderingKey: text('At most 1024 bytes.'),
  messageId: outputOnly('Set by the server.'),
  publishTime: outputOnly('Set by the server.'),
};

const noData = Buffer.alloc(0);
const noAttributes: Attributes = Object.freeze({});

/**
 * The `messages` of a publish request. One request holds up to a thousand, so each is read by hand first: what is right
 * costs one look at each field. Whatever is not goes through `messageFields`, which knows what is to be ignored and
 * words the error.
 */
export const publishMessages: JsonField<readonly Message[]> = {
  schema: { type: 'array', items: objectSchema(messageFields) },
  read(value, at) {
    if (!Array.isArray(value)) throw wrongType(value, at, 'an array of messages');
    const messages: Message[] = new Array(value.length);
    for (let i = 0; i < value.length; i++) messages[i] = readMessage(value[i], at, i);
    return messages;
  },
};

function readMessage(value: unknown, at: string, index: number): Message {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    return readOddMessage(value, `${at}[${index}]`);
  let data: Uint8Array | undefined = noData;
  let attributes = noAttributes;
  let orderingKey = '';
  const given = value as Record<string, unknown>;
  for (const name in given) {
    const item = given[name];
    if (name === 'data' && typeof item === 'string') data = decodeBase64(item);
    else if (name === 'attributes' && isTextMap(item)) attributes = item;
    else if (name === 'orderingKey' && isText(item)) orderingKey = item;
    else return readOddMessage(value, `${at}[${index}]`);
  }
  if (data === undefined) return readOddMessage(value, `${at}[${index}]`);
  return { data, attributes, orderingKey };
}

function readOddMessage(value: unknown, at: string): Message {
  const { data = noData, attributes = noAttributes, orderingKey = '' } = readObject(value, at, messageFields);
  return { data, attributes, orderingKey };
}

import { invalidArgument } from './errors.ts';
import { type FilterExpression, parseFilter } from './filter-parser.ts';
import type { Attributes } from './message.ts';

/** True when a message with these attributes is to be delivered. */
export type AttributeFilter = (attributes: Attributes) => boolean;

const filterBytesMax = 256; // google.pubsub.v1 Subscription.filter

/**
 * Turns the text of a subscription's filter into a function (cloud.google.com/pubsub/docs/subscription-message-filter).
 * @returns undefined for the empty text, which takes every message.
 * @throws PubSubError INVALID_ARGUMENT: where it is wrong and what is expected there.
 */
export function compileFilter(text: string): AttributeFilter | undefined {
  const bytes = Buffer.byteLength(text);
  if (bytes > filterBytesMax) {
    throw invalidArgument(`The filter has ${bytes} bytes; at most ${filterBytesMax} are allowed.`);
  }
  return text === '' ? undefined : compile(parseFilter(text));
}

function compile(expression: FilterExpression): AttributeFilter {
  switch (expression.kind) {
    case 'has':
      return (attributes) => Object.hasOwn(attributes, expression.key);
    case 'equals':
      return (attributes) => attributeOf(attributes, expression.key) === expression.value;
    case 'hasPrefix':
      return (attributes) => attributeOf(attributes, expression.key)?.startsWith(expression.prefix) ?? false;
    case 'not': {
      const inner = compile(expression.inner);
      return (attributes) => !inner(attributes);
    }
    case 'and': {
      const parts = expression.parts.map(compile);
      return (attributes) => parts.every((part) => part(attributes));
    }
    case 'or': {
      const parts = expression.parts.map(compile);
      return (attributes) => parts.some((part) => part(attributes));
    }
  }
}

/** Own properties only: `constructor` is a legal attribute key. */
function attributeOf(attributes: Attributes, key: string): string | undefined {
  return Object.hasOwn(attributes, key) ? attributes[key] : undefined;
}

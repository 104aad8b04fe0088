import { invalidArgument } from '../../domain/errors.ts';
import { type PushConfig, type PushVersion, type PushWrapper, pushVersionDefault } from '../../domain/push-config.ts';
import { quote } from '../../domain/quote.ts';
import { type JsonField, type JsonObject, object, objectSchema, readObject } from './json-field.ts';
import { flag, text, textMap } from './scalar-fields.ts';

/** Every field of google.pubsub.v1 PushConfig. */
const fields = {
  pushEndpoint: text('Where messages are POSTed to: an https URL; unset: messages are pulled.'),
  attributes: textMap('x-goog-version: v1 or v1beta2, which is the same format.'),
  oidcToken: object({
    serviceAccountEmail: text('The email claim of the token that each request carries.'),
    audience: text('The aud claim; unset: the endpoint.'),
  }),
  pubsubWrapper: object({}),
  noWrapper: object({ writeMetadata: flag('Send the attributes and metadata of the message as headers.') }),
};

/** A PushConfig in a request, which may be the empty one: then messages are pulled. */
export interface ReadPushConfig {
  readonly push?: PushConfig;
}

export const pushConfigField: JsonField<ReadPushConfig> = {
  schema: { ...objectSchema(fields), description: 'Empty: messages are pulled.' },
  read(value, at) {
    const read = readObject(value, at, fields);
    const version = versionOf(read.attributes ?? {}, at);
    if (read.pushEndpoint) return { push: configOf(read, read.pushEndpoint, version, at) };
    const stray = (['oidcToken', 'pubsubWrapper', 'noWrapper'] as const).find((name) => read[name] !== undefined);
    if (stray === undefined) return {};
    throw invalidArgument(`${at} has ${stray} but no pushEndpoint; name the endpoint, or leave ${at} empty to pull.`);
  },
};

function configOf(
  read: JsonObject<typeof fields>,
  endpoint: string,
  version: PushVersion | undefined,
  at: string,
): PushConfig {
  const { serviceAccountEmail = '', audience } = read.oidcToken ?? {};
  const wrapper = wrapperOf(read, at);
  return {
    endpoint,
    ...(version && { version }),
    ...(read.oidcToken && { oidc: { serviceAccountEmail, ...(audience && { audience }) } }),
    ...(wrapper && { wrapper }),
  };
}

function wrapperOf({ pubsubWrapper, noWrapper }: JsonObject<typeof fields>, at: string): PushWrapper | undefined {
  if (pubsubWrapper && noWrapper) {
    throw invalidArgument(`${at} has both pubsubWrapper and noWrapper; set one of them or neither.`);
  }
  if (noWrapper) return { kind: 'none', writeMetadata: noWrapper.writeMetadata ?? false };
  return pubsubWrapper && { kind: 'pubsub' };
}

const versionAttribute = 'x-goog-version';

function versionOf(attributes: Readonly<Record<string, string>>, at: string): PushVersion | undefined {
  for (const key of Object.keys(attributes)) {
    if (key !== versionAttribute) {
      throw invalidArgument(`${at}.attributes has ${quote(key)}; the one attribute is ${versionAttribute}.`);
    }
  }
  const version = attributes[versionAttribute];
  if (version === undefined || version === 'v1' || version === 'v1beta2') return version;
  throw invalidArgument(`${at}.attributes asks for ${versionAttribute} ${quote(version)}; it must be v1 or v1beta2.`);
}

/** As Google prints it: the version is always there once there is an endpoint. */
export function pushConfigToJson(push: PushConfig | undefined): object {
  if (!push) return {};
  const { endpoint, version = pushVersionDefault, oidc, wrapper } = push;
  return {
    pushEndpoint: endpoint,
    attributes: { [versionAttribute]: version },
    ...(oidc && { oidcToken: oidc }),
    ...(wrapper?.kind === 'pubsub' && { pubsubWrapper: {} }),
    ...(wrapper?.kind === 'none' && { noWrapper: wrapper.writeMetadata ? { writeMetadata: true } : {} }),
  };
}

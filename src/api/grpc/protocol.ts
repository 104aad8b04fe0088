import { readFileSync } from 'node:fs';
import protobuf from 'protobufjs';
import protojson from 'protobufjs/ext/protojson.js';

/** Under dist from src/api/grpc/protocol.ts as well as from dist/src/api/grpc/protocol.js. */
const bundle = new URL(`../../../${import.meta.url.endsWith('.ts') ? 'dist/' : ''}protocol.json`, import.meta.url);

/** Everything that gRPC speaks here: Google's protos and gRPC's own, as the build has bundled them. */
export const protocol = load();

function load(): protobuf.Root {
  protojson.install();
  const root = protobuf.Root.fromJSON(JSON.parse(read()).root);
  root.resolveAll();
  return root;
}

function read(): string {
  try {
    return readFileSync(bundle, 'utf8');
  } catch (error) {
    throw new Error('dist/protocol.json is missing; run npm run build.', { cause: error });
  }
}

/** One method of a service in the protos. */
export interface Rpc {
  readonly service: string; // google.pubsub.v1.Publisher
  readonly name: string; // CreateTopic
  readonly path: string; // /google.pubsub.v1.Publisher/CreateTopic
  readonly request: protobuf.Type;
  readonly reply: protobuf.Type;
  readonly requestStream: boolean;
  /** How REST spells it, from its `google.api.http` option; undefined when it has none. */
  readonly rest: RestBinding | undefined;
}

export interface RestBinding {
  readonly verb: string;
  // In the form of `Method.shape`: `projects/*/topics/*:publish`
  readonly shape: string;
  /** Where the request holds the name that the path holds: `['topic', 'name']`. */
  readonly nameField: readonly string[];
  // `projects/*/topics/*`
  readonly nameTemplate: string;
  readonly namePattern: RegExp;
}

/** @param service its full name. */
export function rpcsOf(service: string): Rpc[] {
  return protocol.lookupService(service).methodsArray.map((method) => ({
    service,
    name: method.name,
    path: `/${service}/${method.name}`,
    request: method.resolvedRequestType!,
    reply: method.resolvedResponseType!,
    requestStream: method.requestStream === true,
    rest: restBindingOf(method),
  }));
}

const verbs = ['get', 'put', 'post', 'patch', 'delete'];
// `/v1/{topic.name=projects/*/topics/*}:publish`
const template = /^\/v1\/\{([a-z_.]+)=([^}]+)\}(.*)$/;

function restBindingOf({ options }: protobuf.Method): RestBinding | undefined {
  const verb = verbs.find((each) => options?.[`(google.api.http).${each}`] !== undefined);
  const parts = verb && template.exec(options?.[`(google.api.http).${verb}`]);
  if (!parts) return undefined;
  const [, field, nameTemplate, rest] = parts as unknown as [string, string, string, string];
  const namePattern = new RegExp(`^${nameTemplate.replaceAll('**', '.+').replaceAll('*', '[^/]+')}$`);
  return {
    verb: verb.toUpperCase(),
    shape: nameTemplate + rest,
    nameField: field.split('.'),
    nameTemplate,
    namePattern,
  };
}

/** A message type by its full name. */
export function messageType(name: string): protobuf.Type {
  return protocol.lookupType(name);
}

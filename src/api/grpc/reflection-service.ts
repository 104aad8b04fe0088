import { type ServerDuplexStream, status } from '@grpc/grpc-js';
import descriptor, { type IFileDescriptorProto } from 'protobufjs/ext/descriptor.js';
import type { Calls } from './calls.ts';
import { messageType, protocol } from './protocol.ts';
import { decode } from './unary-calls.ts';

type Call = ServerDuplexStream<Buffer, object>;

interface ReflectionRequest {
  readonly host: string;
  readonly messageRequest?: string;
  readonly fileByFilename: string;
  readonly fileContainingSymbol: string;
}

interface ReflectionDeps {
  readonly calls: Calls;
  /** Full names. */
  readonly services: readonly string[];
}

/** gRPC server reflection: how grpcurl and its like learn what there is. Both versions have the same messages. */
export class ReflectionService {
  readonly #deps: ReflectionDeps;
  #files: DescriptorFiles | undefined;

  constructor(deps: ReflectionDeps) {
    this.#deps = deps;
  }

  /** @param version `v1` or `v1alpha` */
  handlerOf(version: string): (call: Call) => void {
    const requestType = messageType(`grpc.reflection.${version}.ServerReflectionRequest`);
    return (call) => {
      const open = this.#deps.calls.begin(`grpc.reflection.${version}.ServerReflection/ServerReflectionInfo`, call);
      call.on('data', (bytes: Buffer) => {
        try {
          const request = decode(requestType, bytes) as ReflectionRequest;
          const reply = { validHost: request.host, originalRequest: request, ...this.#answer(request) };
          if (!call.write(reply)) pauseUntilDrained(call);
        } catch (error) {
          open.fail(error);
        }
      });
      call.on('end', () => open.end());
    };
  }

  #answer(request: ReflectionRequest): object {
    if (request.messageRequest === 'listServices') {
      return { listServicesResponse: { service: this.#deps.services.map((name) => ({ name })) } };
    }
    const found = this.#fileFor(request);
    if (found) return { fileDescriptorResponse: { fileDescriptorProto: found } };
    const errorMessage = 'There is no such file, symbol or extension here.';
    return { errorResponse: { errorCode: status.NOT_FOUND, errorMessage } };
  }

  #fileFor({ messageRequest, fileByFilename, fileContainingSymbol }: ReflectionRequest): Uint8Array[] | undefined {
    this.#files ??= new DescriptorFiles();
    if (messageRequest === 'fileByFilename') return this.#files.named(fileByFilename);
    return messageRequest === 'fileContainingSymbol' ? this.#files.with(fileContainingSymbol) : undefined;
  }
}

function pauseUntilDrained(call: Call): void {
  call.pause();
  call.once('drain', () => call.resume());
}

/** The protos as descriptors, one file for each package. */
class DescriptorFiles {
  readonly #byName = new Map<string, IFileDescriptorProto>();

  constructor() {
    const set = (protocol as unknown as Describable).toDescriptor('proto3');
    for (const file of set.file) this.#byName.set(file.name!, file);
  }

  /** The file and all that it needs. */
  named(name: string): Uint8Array[] | undefined {
    if (!this.#byName.has(name)) return undefined;
    const needed = new Set<string>();
    const need = (each: string) => {
      if (needed.has(each) || !this.#byName.has(each)) return;
      needed.add(each);
      for (const dependency of this.#byName.get(each)!.dependency ?? []) need(dependency);
    };
    need(name);
    return [...needed].map((each) => descriptor.FileDescriptorProto.encode(this.#byName.get(each)!).finish());
  }

  /** @param symbol the full name of a service, a method, a message or an enum */
  with(symbol: string): Uint8Array[] | undefined {
    for (const [name, file] of this.#byName) {
      const prefix = `${file.package}.`;
      if (symbol.startsWith(prefix) && declares(file, symbol.slice(prefix.length))) return this.named(name);
    }
    return undefined;
  }
}

/** What the descriptor extension adds to a root. */
interface Describable {
  toDescriptor(edition: string): { readonly file: readonly IFileDescriptorProto[] };
}

function declares({ service = [], messageType: messages = [], enumType = [] }: IFileDescriptorProto, name: string) {
  const [first] = name.split('.');
  return [...service, ...messages, ...enumType].some((declared) => declared.name === first);
}

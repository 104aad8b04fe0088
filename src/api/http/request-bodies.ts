import { isUtf8 } from 'node:buffer';
import { invalidArgument, PubSubError } from '../../domain/errors.ts';
import { ByteBudget } from '../methods/byte-budget.ts';
import type { HttpExchange } from './http-exchange.ts';
import type { HttpLimits } from './http-limits.ts';

/**
 * Reads request bodies, each bounded, and all that are being answered bounded together. One that is refused is answered
 * at once, and its rest thrown away as it comes: many clients look for an answer only once they have sent everything.
 * One that goes on for `dropFactor` times the bound after the answer is cut off.
 */
export class RequestBodies {
  readonly #budget: ByteBudget;
  readonly #bodyBytesMax: number;
  #refused = 0;

  constructor(limits: HttpLimits) {
    this.#budget = new ByteBudget(limits.bodiesBytesMax);
    this.#bodyBytesMax = limits.bodyBytesMax;
  }

  /** Bodies turned away for their size or for want of room. */
  get refused(): number {
    return this.#refused;
  }

  get bytesHeld(): number {
    return this.#budget.held;
  }

  /**
   * The body as JSON; `{}` when there is none. Its bytes count until the exchange is over.
   * @throws PubSubError INVALID_ARGUMENT too large, compressed, or not JSON; RESOURCE_EXHAUSTED no room; CANCELLED the
   *   client went away.
   */
  async readJson(exchange: HttpExchange): Promise<unknown> {
    const encoding = exchange.request.headers['content-encoding'];
    if (encoding !== undefined && encoding !== 'identity') {
      throw invalidArgument(`Content-Encoding ${encoding} is not read; send the body uncompressed.`);
    }
    return parseJson(await this.#read(exchange));
  }

  #read(exchange: HttpExchange): Promise<Buffer> {
    const { request } = exchange;
    return new Promise((resolve, reject) => {
      const chunks: Buffer[] = [];
      let bytes = 0;
      const take = (chunk: Buffer) => {
        bytes += chunk.length;
        const refusal = this.#refusalOf(chunk, bytes, exchange);
        if (!refusal) {
          chunks.push(chunk);
          return;
        }
        request.off('data', take);
        this.#dropRest(exchange);
        reject(refusal);
      };
      request.on('data', take);
      request.once('end', () => resolve(Buffer.concat(chunks)));
      exchange.onLost(() => reject(new PubSubError('CANCELLED', 'The client closed the connection.')));
    });
  }

  #dropRest(exchange: HttpExchange): void {
    const { request } = exchange;
    request.resume();
    let bytesLeft = dropFactor * this.#bodyBytesMax;
    exchange.onEnd(() =>
      request.on('data', (chunk: Buffer) => {
        bytesLeft -= chunk.length;
        if (bytesLeft < 0) request.destroy();
      }),
    );
  }

  /** Makes room for a chunk, or says why there is none. */
  #refusalOf(chunk: Buffer, bytes: number, exchange: HttpExchange): PubSubError | undefined {
    if (bytes > this.#bodyBytesMax) return this.#count(tooLarge(this.#bodyBytesMax));
    if (!this.#budget.take(chunk.length)) return this.#count(noRoom());
    exchange.onEnd(() => this.#budget.give(chunk.length));
    return undefined;
  }

  #count(refusal: PubSubError): PubSubError {
    this.#refused++;
    return refusal;
  }
}

const dropFactor = 4;

function tooLarge(bodyBytesMax: number): PubSubError {
  return invalidArgument(
    `The request body has more than ${bodyBytesMax} bytes, which is the most that is read; send fewer messages at once.`,
  );
}

function noRoom(): PubSubError {
  return new PubSubError('RESOURCE_EXHAUSTED', 'The server is reading too many large requests; try again in a moment.');
}

function parseJson(bytes: Buffer): unknown {
  if (bytes.length === 0) return {};
  if (!isUtf8(bytes)) throw invalidArgument('The request body is not UTF-8; send JSON in UTF-8.');
  try {
    return JSON.parse(bytes.toString());
  } catch (error) {
    throw invalidArgument(`The request body is not valid JSON: ${(error as Error).message}`);
  }
}

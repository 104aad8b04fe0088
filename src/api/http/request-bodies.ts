import { isUtf8 } from 'node:buffer';
import { invalidArgument, PubSubError } from '../../domain/errors.ts';
import { ByteBudget } from './byte-budget.ts';
import type { Exchange } from './exchange.ts';
import type { HttpLimits } from './http-limits.ts';

/**
 * Reads request bodies, each bounded, and all that are being answered bounded together. What is too large is still
 * read to its end and thrown away, so that the client is there to read why; past `drainFactor` times the bound it is
 * not worth that any more, and the connection closes after the answer.
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
  async readJson(exchange: Exchange): Promise<unknown> {
    const encoding = exchange.request.headers['content-encoding'];
    if (encoding !== undefined && encoding !== 'identity') {
      throw invalidArgument(`Content-Encoding ${encoding} is not read; send the body uncompressed.`);
    }
    return parseJson(await this.#read(exchange));
  }

  #read(exchange: Exchange): Promise<Buffer> {
    const { request, response } = exchange;
    const bodyBytesMax = this.#bodyBytesMax;
    let chunks: Buffer[] = [];
    let bytes = 0;
    let refusal: PubSubError | undefined;
    const refuse = (why: PubSubError) => {
      this.#refused++;
      chunks = [];
      refusal = why;
    };
    return new Promise((resolve, reject) => {
      request.on('data', (chunk: Buffer) => {
        bytes += chunk.length;
        if (refusal) {
          if (bytes <= drainFactor * bodyBytesMax) return;
          response.setHeader('connection', 'close');
          reject(refusal);
        } else if (bytes > bodyBytesMax) refuse(tooLarge(bodyBytesMax));
        else if (this.#take(chunk.length, exchange)) chunks.push(chunk);
        else refuse(noRoom());
      });
      request.once('end', () => (refusal ? reject(refusal) : resolve(Buffer.concat(chunks))));
      exchange.onLost(() => reject(new PubSubError('CANCELLED', 'The client closed the connection.')));
    });
  }

  #take(bytes: number, exchange: Exchange): boolean {
    if (!this.#budget.take(bytes)) return false;
    exchange.onEnd(() => this.#budget.give(bytes));
    return true;
  }
}

const drainFactor = 4;

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

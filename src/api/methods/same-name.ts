import { invalidArgument } from '../../domain/errors.ts';
import { quote } from '../../domain/quote.ts';

/**
 * A resource in a body may repeat the name that the path gives it.
 * @param at how errors call the field, `topic.name`.
 * @throws PubSubError INVALID_ARGUMENT they differ
 */
export function checkSameName(inPath: string, inBody: string, at: string): void {
  if (inBody === '' || inBody === inPath) return;
  throw invalidArgument(`${at} is ${quote(inBody)} and the path says ${quote(inPath)}; leave the field out.`);
}

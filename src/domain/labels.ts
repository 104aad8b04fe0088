import { invalidArgument } from './errors.ts';
import { quote } from './quote.ts';

/** Google Cloud's labels: what people sort and bill resources by. Headwater only keeps them. */
export type Labels = Readonly<Record<string, string>>;

const labelsMax = 64;
// cloud.google.com/resource-manager/docs/labels-overview#requirements
const keyPattern = /^[\p{Ll}\p{Lo}][\p{Ll}\p{Lo}\p{N}_-]{0,62}$/u;
const valuePattern = /^[\p{Ll}\p{Lo}\p{N}_-]{0,63}$/u;

/** @throws PubSubError INVALID_ARGUMENT: which label, and what is allowed. */
export function checkLabels(labels: Labels): void {
  const entries = Object.entries(labels);
  if (entries.length > labelsMax) {
    throw invalidArgument(`There are ${entries.length} labels; at most ${labelsMax} are allowed.`);
  }
  for (const [key, value] of entries) checkLabel(key, value);
}

function checkLabel(key: string, value: string): void {
  if (!keyPattern.test(key)) {
    throw invalidArgument(
      `The label key ${quote(key)} is not allowed; use 1 to 63 lower-case letters, digits, - and _, with a letter first.`,
    );
  }
  if (!valuePattern.test(value)) {
    throw invalidArgument(
      `The value ${quote(value)} of label ${quote(key)} is not allowed; use up to 63 lower-case letters, digits, - and _.`,
    );
  }
}

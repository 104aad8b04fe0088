import { invalidArgument } from './errors.ts';
import { FilterText } from './filter-text.ts';

/** What a filter says; `a != "v"` is read as `NOT a = "v"`, so it takes messages without the attribute too. */
export type FilterExpression =
  | { readonly kind: 'has'; readonly key: string }
  | { readonly kind: 'equals'; readonly key: string; readonly value: string }
  | { readonly kind: 'hasPrefix'; readonly key: string; readonly prefix: string }
  | { readonly kind: 'not'; readonly inner: FilterExpression }
  | { readonly kind: 'and' | 'or'; readonly parts: readonly FilterExpression[] };

/**
 *     expression  term { "AND" term } | term { "OR" term }      never both without parentheses
 *     term        ( "NOT" | "-" ) term | "(" expression ")" | condition
 *     condition   "attributes" ":" key
 *               | "attributes" "." key ( "=" | "!=" ) string
 *               | "hasPrefix" "(" "attributes" "." key "," string ")"
 *     key         letters, digits, - and _ | string
 *     string      in double quotes, with backslash escapes
 *
 * It recurses once per parenthesis or NOT, so at most as deep as the text is long (256 bytes).
 * @throws PubSubError INVALID_ARGUMENT: where it is wrong and what is expected there.
 */
export function parseFilter(text: string): FilterExpression {
  const input = new FilterText(text);
  const expression = parseExpression(input);
  if (!input.atEnd) throw input.expected('AND, OR or the end');
  return expression;
}

function parseExpression(input: FilterText): FilterExpression {
  const first = parseTerm(input);
  const operator = takeOperator(input);
  if (!operator) return first;
  const parts = [first, parseTerm(input)];
  for (let next = takeOperator(input); next; next = takeOperator(input)) {
    if (next !== operator) throw mixed(input);
    parts.push(parseTerm(input));
  }
  return { kind: operator, parts };
}

function takeOperator(input: FilterText): 'and' | 'or' | undefined {
  if (input.takeWord('AND')) return 'and';
  return input.takeWord('OR') ? 'or' : undefined;
}

function mixed(input: FilterText) {
  return invalidArgument(
    `The filter mixes AND and OR before position ${input.position}; put parentheses around one of them.`,
  );
}

function parseTerm(input: FilterText): FilterExpression {
  if (input.takeWord('NOT') || input.takeSymbol('-')) return { kind: 'not', inner: parseTerm(input) };
  if (!input.takeSymbol('(')) return parseCondition(input);
  const inner = parseExpression(input);
  input.needSymbol(')');
  return inner;
}

function parseCondition(input: FilterText): FilterExpression {
  if (input.takeWord('hasPrefix')) return parseHasPrefix(input);
  if (!input.takeWord('attributes')) throw input.expected('attributes, hasPrefix, NOT, - or (');
  if (input.takeSymbol(':')) return { kind: 'has', key: input.needKey() };
  if (!input.takeSymbol('.')) throw input.expected('":" or "."');
  return parseComparison(input, input.needKey());
}

function parseComparison(input: FilterText, key: string): FilterExpression {
  if (input.takeSymbol('=')) return { kind: 'equals', key, value: input.needString() };
  if (!input.takeSymbol('!=')) throw input.expected('"=" or "!="');
  return { kind: 'not', inner: { kind: 'equals', key, value: input.needString() } };
}

function parseHasPrefix(input: FilterText): FilterExpression {
  input.needSymbol('(');
  if (!input.takeWord('attributes')) throw input.expected('attributes');
  input.needSymbol('.');
  const key = input.needKey();
  input.needSymbol(',');
  const prefix = input.needString();
  input.needSymbol(')');
  return { kind: 'hasPrefix', key, prefix };
}

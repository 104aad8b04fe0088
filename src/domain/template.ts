import { invalidArgument } from './errors.ts';

/** Text with holes, `site-{site}`: a route's topic, attribute values and ordering key. */
export interface Template {
  readonly text: string;
  readonly parts: readonly TemplatePart[];
}

type TemplatePart = { readonly literal: string } | { readonly name: string };

/**
 * @param names what may stand in braces.
 * @throws PubSubError INVALID_ARGUMENT a name that nothing fills, or a lone brace.
 */
export function parseTemplate(text: string, names: readonly string[]): Template {
  const parts: TemplatePart[] = [];
  for (const piece of text.split(/(\{[^{}]*\})/)) {
    if (piece === '') continue;
    if (!/[{}]/.test(piece)) parts.push({ literal: piece });
    else parts.push({ name: knownName(piece, text, names) });
  }
  return { text, parts };
}

function knownName(piece: string, text: string, names: readonly string[]): string {
  const name = piece.slice(1, -1);
  if (piece.endsWith('}') && names.includes(name)) return name;
  const allowed = names.length === 0 ? 'nothing can be filled in here' : names.map((known) => `{${known}}`).join(', ');
  throw invalidArgument(`${JSON.stringify(text)} holds ${JSON.stringify(piece)}; braces are for: ${allowed}.`);
}

export function prefixed(literal: string, template: Template): Template {
  return { text: literal + template.text, parts: [{ literal }, ...template.parts] };
}

/** Puts a value into every hole. */
export function fillTemplate(template: Template, fill: (name: string) => string): string {
  let filled = '';
  for (const part of template.parts) filled += 'literal' in part ? part.literal : fill(part.name);
  return filled;
}

/** True when there is nothing to fill in. */
export function isFixed(template: Template): boolean {
  return template.parts.every((part) => 'literal' in part);
}

/** UTF-8 bytes that it has however it is filled. */
export function literalBytes(template: Template): number {
  return template.parts.reduce((bytes, part) => bytes + ('literal' in part ? Buffer.byteLength(part.literal) : 0), 0);
}

const quotedCharsMax = 100;

/** What somebody sent, fit for one line of an error message: quoted, escaped, and cut when it is long. */
export function quote(text: string): string {
  if (text.length <= quotedCharsMax) return JSON.stringify(text);
  return `${JSON.stringify(text.slice(0, quotedCharsMax))}… (${text.length} characters)`;
}

import { invalidArgument, type PubSubError } from './errors.ts';
import { quote } from './quote.ts';

const wordPattern = /[A-Za-z0-9_-]+/y;
const escapePattern = /\\(?:x([0-9A-Fa-f]{2})|u([0-9A-Fa-f]{4})|U([0-9A-Fa-f]{8})|([0-3][0-7]{2})|([abfnrtv\\"'?]))/y;
const plainEscapes: Readonly<Record<string, string>> = {
  a: '\x07',
  b: '\b',
  f: '\f',
  n: '\n',
  r: '\r',
  t: '\t',
  v: '\v',
};

/** The text of a filter, read from left to right; white space between its parts means nothing. */
export class FilterText {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
    this.#skipSpace();
  }

  get atEnd(): boolean {
    return this.#at === this.#text.length;
  }

  /** Of the next character, counted from 1 as people do. */
  get position(): number {
    return this.#at + 1;
  }

  /** Takes `word` if it stands here whole. */
  takeWord(word: string): boolean {
    if (this.#peekWord() !== word) return false;
    this.#moveTo(this.#at + word.length);
    return true;
  }

  takeSymbol(symbol: string): boolean {
    if (!this.#text.startsWith(symbol, this.#at)) return false;
    this.#moveTo(this.#at + symbol.length);
    return true;
  }

  needSymbol(symbol: string): void {
    if (!this.takeSymbol(symbol)) throw this.expected(`"${symbol}"`);
  }

  needKey(): string {
    const word = this.#peekWord();
    const key = word === '' && this.#text[this.#at] === '"' ? this.needString() : word;
    if (key === '') throw this.expected('an attribute key: letters, digits, - and _, or any text in double quotes');
    if (word !== '') this.#moveTo(this.#at + word.length);
    return key;
  }

  needString(): string {
    if (this.#text[this.#at] !== '"') throw this.expected('a text in double quotes');
    let value = '';
    let at = this.#at + 1;
    while (this.#text[at] !== '"') {
      if (at >= this.#text.length)
        throw invalidArgument(`The filter's text that starts at position ${this.position} has no closing quote.`);
      const [char, length] = this.#text[at] === '\\' ? this.#escape(at) : [this.#text[at]!, 1];
      value += char;
      at += length;
    }
    this.#moveTo(at + 1);
    return value;
  }

  expected(what: string): PubSubError {
    const found = this.atEnd ? 'the end' : quote(this.#peekWord() || this.#text[this.#at]!);
    return invalidArgument(`The filter is wrong at position ${this.position}: expected ${what}, found ${found}.`);
  }

  #escape(at: number): readonly [char: string, length: number] {
    escapePattern.lastIndex = at;
    const match = escapePattern.exec(this.#text);
    if (!match) throw unknownEscape(at);
    const [whole, hex2, hex4, hex8, octal, plain] = match;
    if (plain !== undefined) return [plainEscapes[plain] ?? plain, whole.length];
    const code = octal === undefined ? Number.parseInt((hex2 ?? hex4 ?? hex8)!, 16) : Number.parseInt(octal, 8);
    if (code > 0x10ffff) throw unknownEscape(at);
    return [String.fromCodePoint(code), whole.length];
  }

  #peekWord(): string {
    wordPattern.lastIndex = this.#at;
    return wordPattern.exec(this.#text)?.[0] ?? '';
  }

  #moveTo(at: number): void {
    this.#at = at;
    this.#skipSpace();
  }

  #skipSpace(): void {
    while (/\s/.test(this.#text[this.#at] ?? '')) this.#at++;
  }
}

function unknownEscape(at: number): PubSubError {
  return invalidArgument(
    `The filter has an unknown escape at position ${at + 1}; allowed are \\\\ \\" \\' \\? \\a \\b \\f \\n \\r \\t \\v, \\xHH, \\uHHHH, \\UHHHHHHHH and octal \\OOO.`,
  );
}

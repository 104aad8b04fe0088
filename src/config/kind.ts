/** How the value of a setting is written, and which values are allowed. */
export interface Kind<T> {
  /** In the help: `<port>`, or `[true|false]` when the flag may stand alone. */
  readonly placeholder: string;
  /** Ends the sentence "… must be". */
  readonly allowed: string;
  /** From a flag or an environment variable; undefined: not allowed. */
  fromText(text: string): T | undefined;
  /** From the file, which has types; undefined: not allowed. */
  fromFile(value: unknown): T | undefined;
  /** As people write it. */
  show(value: T): string;
}

export const trueOrFalse: Kind<boolean> = {
  placeholder: '[true|false]',
  allowed: 'true or false',
  fromText: (text) => (text === 'true' ? true : text === 'false' ? false : undefined),
  fromFile: (value) => (typeof value === 'boolean' ? value : undefined),
  show: String,
};

export function wholeNumber(min: number, max: number, placeholder = '<number>'): Kind<number> {
  return scaled({ placeholder, allowed: `a whole number from ${min} to ${max}`, scale: { '': 1 }, min, max });
}

const byteScale = { B: 1, kB: 1e3, MB: 1e6, GB: 1e9, KiB: 2 ** 10, MiB: 2 ** 20, GiB: 2 ** 30 };

/** A plain number is bytes. */
export function bytes(min: number, max: number): Kind<number> {
  const range = `from ${show(min, byteScale)} to ${show(max, byteScale)}`;
  const allowed = `a size ${range}, such as 65536, 64KiB or 64MB`;
  return scaled({ placeholder: '<size>', allowed, scale: { '': 1, ...byteScale }, min, max });
}

const durationScale = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** A plain number is milliseconds. */
export function duration(minMs: number, maxMs: number): Kind<number> {
  const range = `from ${show(minMs, durationScale)} to ${show(maxMs, durationScale)}`;
  const allowed = `a duration ${range}, such as 500ms, 30s, 10m, 2h or 1d`;
  return scaled({ placeholder: '<duration>', allowed, scale: { '': 1, ...durationScale }, min: minMs, max: maxMs });
}

export function oneOf<const W extends string>(...words: readonly W[]): Kind<W> {
  return textual('<word>', `one of ${words.join(', ')}`, (text): text is W => words.some((word) => word === text));
}

export function textual<T extends string = string>(
  placeholder: string,
  allowed: string,
  isAllowed: (text: string) => boolean,
): Kind<T> {
  const check = (text: string) => (isAllowed(text) ? (text as T) : undefined);
  const fromFile = (value: unknown) => (typeof value === 'string' ? check(value) : undefined);
  return { placeholder, allowed, fromText: check, fromFile, show: String };
}

interface Scaled {
  readonly placeholder: string;
  readonly allowed: string;
  /** How much one of each unit is; `''` stands for a plain number. */
  readonly scale: Readonly<Record<string, number>>;
  readonly min: number;
  readonly max: number;
}

function scaled({ placeholder, allowed, scale, min, max }: Scaled): Kind<number> {
  const inRange = (value: number) => (Number.isSafeInteger(value) && value >= min && value <= max ? value : undefined);
  const hasUnits = Object.keys(scale).length > 1;
  const fromText = (text: string) => {
    const [, digits, unit] = /^(\d+) ?([A-Za-z]*)$/.exec(text) ?? [];
    if (digits === undefined || !Object.hasOwn(scale, unit!)) return undefined;
    return inRange(Number(digits) * scale[unit!]!);
  };
  return {
    placeholder,
    allowed,
    fromText,
    fromFile: (value) => {
      if (typeof value === 'number') return inRange(value);
      return hasUnits && typeof value === 'string' ? fromText(value) : undefined;
    },
    show: (value) => show(value, hasUnits ? scale : {}),
  };
}

/** In the largest unit that leaves a whole number: 1048576 is `1MiB`. */
function show(value: number, scale: Readonly<Record<string, number>>): string {
  const fitting = Object.entries(scale).filter(([, one]) => value > 0 && value % one === 0);
  const [unit, one] = fitting.reduce((best, next) => (next[1] >= best[1] ? next : best), ['', 1]);
  return `${value / one}${unit}`;
}

/** One line of a Dockerfile, its continuations joined. */
export interface Instruction {
  readonly name: string; // FROM, COPY, …
  readonly text: string;
}

/** From one FROM to the next. */
export interface Stage {
  readonly image: string;
  readonly name: string | undefined;
  readonly instructions: readonly Instruction[];
}

/** As far as our own Dockerfile goes: no heredocs, no ARG before FROM, no escape directive. */
export function parseDockerfile(text: string): readonly Stage[] {
  const lines = text.split('\n').filter((line) => !/^\s*#/.test(line));
  const logical = lines.join('\n').replaceAll('\\\n', ' ').split('\n');
  const instructions = logical.flatMap((line) => {
    const [, name, rest] = /^\s*(\w+)\s+(.*?)\s*$/.exec(line) ?? [];
    return name ? [{ name: name.toUpperCase(), text: rest! }] : [];
  });
  const starts = instructions.flatMap(({ name }, i) => (name === 'FROM' ? [i] : []));
  return starts.map((start, i) => {
    const [, image, name] = /^(\S+)(?:\s+AS\s+(\S+))?$/i.exec(instructions[start]!.text) ?? [];
    if (!image) throw new Error(`This FROM cannot be read: ${instructions[start]!.text}`);
    return { image, name, instructions: instructions.slice(start + 1, starts[i + 1]) };
  });
}

/** What the instructions of this name say, in order. */
export function textsOf(stage: Stage, name: string): string[] {
  return stage.instructions.flatMap((instruction) => (instruction.name === name ? [instruction.text] : []));
}

export interface Copy {
  /** A stage; undefined: the directory that is built. */
  readonly from: string | undefined;
  readonly sources: readonly string[];
  readonly target: string;
}

export function copiesOf(stage: Stage): Copy[] {
  return textsOf(stage, 'COPY').map((text) => {
    const words = text.split(/\s+/);
    const from = words.find((word) => word.startsWith('--from='))?.slice('--from='.length);
    const paths = words.filter((word) => !word.startsWith('--'));
    return { from, sources: paths.slice(0, -1), target: paths.at(-1)! };
  });
}

/** ENV name=value … */
export function environmentOf(stage: Stage): Record<string, string> {
  const pairs = textsOf(stage, 'ENV').flatMap((text) => text.split(/\s+/));
  return Object.fromEntries(pairs.map((pair) => [pair.slice(0, pair.indexOf('=')), pair.slice(pair.indexOf('=') + 1)]));
}

/** The one command of an instruction in its exec form: no shell between the engine and the process. */
export function execForm(stage: Stage, name: string): readonly string[] {
  const texts = textsOf(stage, name);
  const json = /\[.*\]$/.exec(texts[0] ?? '')?.[0];
  if (texts.length !== 1 || !json) throw new Error(`${name} must be there once, in its exec form.`);
  return JSON.parse(json) as string[];
}

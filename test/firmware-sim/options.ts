import { parseFlags } from '../../firmware-sim/flags.ts';
import type { SimulationOptions } from '../../firmware-sim/options.ts';

/** The options that a command line gives, as text, so that the tests go the user's way. */
export function optionsOf(line: string): SimulationOptions {
  const options = parseFlags(line.split(' '), 0);
  if (options === undefined) throw new Error('the line asks for help');
  return options;
}

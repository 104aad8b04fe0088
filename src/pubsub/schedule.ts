/** Runs `run` once, after `delayMs`; returns the way to call it off. Tests pass one that goes with their clock. */
export type Schedule = (delayMs: number, run: () => void) => () => void;

/** Timers of the process; they do not keep it alive. */
export const processSchedule: Schedule = (delayMs, run) => {
  const timer = setTimeout(run, delayMs).unref();
  return () => clearTimeout(timer);
};

import { type Logger, pino } from 'pino';

export type { Logger };

/** JSON lines on stdout; no payloads, no secrets. */
export function createLogger(level: string): Logger {
  return pino({ level, base: null });
}

/** Time that stands still until a test moves it. */
export interface VirtualClock {
  (): number;
  advance(ms: number): void;
}

export function virtualClock(startMs = Date.UTC(2026, 0, 1)): VirtualClock {
  let nowMs = startMs;
  const advance = (ms: number) => {
    nowMs += ms;
  };
  return Object.assign(() => nowMs, { advance });
}

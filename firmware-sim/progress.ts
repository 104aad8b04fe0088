import { Presets, SingleBar } from 'cli-progress';
import type { Progress } from './simulation.ts';

const refreshMs = 250;

/**
 * A live bar on a terminal.
 * @returns the way to end it.
 */
export function showProgress(terminal: NodeJS.WriteStream, planned: number, read: () => Progress): () => void {
  const format =
    '{bar} {percentage}% | {phase} | {online} online | {acked} acked | {received} read back | {reconnects} reconnects';
  const bar = new SingleBar(
    { stream: terminal, format, hideCursor: true, fps: 1000 / refreshMs },
    Presets.shades_classic,
  );
  const update = (): void => {
    const { taken, ...shown } = read();
    bar.update(taken, shown);
  };
  bar.start(planned, 0, read());
  const timer = setInterval(update, refreshMs);
  return () => {
    clearInterval(timer);
    update();
    bar.stop();
  };
}

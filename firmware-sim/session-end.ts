import { Link, type LinkOptions } from './link.ts';

/**
 * Makes the server forget the session of a client id that is not connected any more. With MQTT 5 the DISCONNECT of the last
 * connection said so already; a session of MQTT 3.1.1 never expires, and ends when its client connects with a clean one.
 * Resolves in any case, at the latest after `timeoutMs`: a session left behind harms nobody.
 */
export async function endSession(options: LinkOptions, timeoutMs: number): Promise<void> {
  if (options.protocolVersion === 5) return;
  let timer: NodeJS.Timeout | undefined;
  await new Promise<unknown>((resolve) => {
    const link: Link = new Link(options, {
      onUp: () => resolve(link.close(timeoutMs)),
      onDown: resolve,
      onPacket: () => undefined,
      onWritable: () => undefined,
    });
    link.open(true, options.now());
    timer = setTimeout(() => link.cut('timed out'), timeoutMs);
  });
  clearTimeout(timer);
}

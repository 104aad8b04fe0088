import { onTestFinished } from 'vitest';
import { type RunningServer, type ServerOptions, startServer } from './start-server.ts';

/** A server that does not outlive its test, however that ends. */
export async function serverUnderTest(options: ServerOptions): Promise<RunningServer> {
  const server = await startServer(options);
  onTestFinished(() => server.kill());
  return server;
}

import { rmSync } from 'node:fs';
import { createConnection, createServer, type Server } from 'node:net';
import { join, relative } from 'node:path';

export interface DataLock {
  release(): Promise<void>;
}

/** What a Unix socket's path may have (sockaddr_un on Linux and macOS, the smaller). */
const socketPathBytesMax = 103;

/**
 * Keeps a second process off a data directory: whoever listens on the socket in it owns it. The kernel closes the
 * socket when its process dies, however it dies, so a lock never outlives a `kill -9` (I10); what is left is a file
 * that refuses connections.
 * @throws Error when another process owns the directory.
 */
export async function lockDataDirectory(directory: string): Promise<DataLock> {
  const path = socketPath(directory);
  const server = await listen(path).catch(async (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EADDRINUSE') throw error;
    if (await isAnswered(path)) {
      throw new Error(`Another Headwater uses the data directory ${directory}: stop it, or choose another --data-dir.`);
    }
    rmSync(path, { force: true });
    return listen(path);
  });
  server.unref();
  return { release: () => new Promise((resolve) => server.close(() => resolve())) };
}

function socketPath(directory: string): string {
  const absolute = join(directory, 'lock.sock');
  const path = [absolute, relative(process.cwd(), absolute)].find((it) => Buffer.byteLength(it) <= socketPathBytesMax);
  if (path === undefined) {
    throw new Error(`The path of the data directory ${directory} is too long: choose one of at most 90 bytes.`);
  }
  return path;
}

function listen(path: string): Promise<Server> {
  return new Promise((resolve, reject) => {
    const server = createServer((socket) => socket.destroy());
    server.once('error', reject);
    server.listen(path, () => resolve(server));
  });
}

function isAnswered(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = createConnection(path);
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}

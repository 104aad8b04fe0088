import { BlockList, isIP } from 'node:net';

const loopback = new BlockList();
loopback.addSubnet('127.0.0.0', 8, 'ipv4'); // RFC 1122 §3.2.1.3; also as ::ffff:127.0.0.1
loopback.addAddress('::1', 'ipv6');

/** True when only this machine can reach a listener on `host`. Other host names than `localhost` are not looked up. */
export function isLoopback(host: string): boolean {
  const family = isIP(host);
  if (family === 0) return host.toLowerCase() === 'localhost';
  return loopback.check(host, family === 4 ? 'ipv4' : 'ipv6');
}

import { parse } from 'yaml';

/** The parts of a compose file that ours uses. */
export interface ComposeFile {
  readonly services: Readonly<Record<string, Service>>;
  readonly volumes: Readonly<Record<string, unknown>>;
  readonly configs: Readonly<Record<string, { readonly content: string }>>;
}

export interface Service {
  readonly image: string;
  readonly build?: string;
  readonly entrypoint?: readonly string[];
  readonly command?: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
  readonly ports?: readonly string[];
  readonly volumes?: readonly string[];
  readonly configs?: readonly { readonly source: string; readonly target: string }[];
  readonly depends_on?: Readonly<Record<string, { readonly condition: string }>>;
  readonly healthcheck?: { readonly test?: readonly string[]; readonly disable?: boolean };
  readonly restart?: string;
  readonly stop_grace_period?: string;
  readonly logging?: { readonly options: Readonly<Record<string, string>> };
}

/** With `<<` merged, as Compose does; `$$` is its way to write `$`. */
export function parseComposeFile(text: string): ComposeFile {
  if (/(^|[^$])\$([^$]|$)/.test(text)) throw new Error('The compose file depends on variables of whoever runs it.');
  return parse(text, { merge: true }) as ComposeFile;
}

/** `server NAME host:port` and `bind :port` of HAProxy's configuration, by section. */
export interface Listen {
  readonly bind: number;
  readonly servers: readonly { readonly host: string; readonly port: number }[];
}

export function listensOf(haproxy: string): Listen[] {
  return haproxy
    .split(/^(?=\S)/m)
    .filter((section) => section.startsWith('listen '))
    .map((section) => {
      const servers = [...section.matchAll(/^\s+server \S+ ([\w-]+):(\d+)$/gm)];
      return {
        bind: Number(/^\s+bind :(\d+)$/m.exec(section)?.[1]),
        servers: servers.map(([, host, port]) => ({ host: host!, port: Number(port) })),
      };
    });
}

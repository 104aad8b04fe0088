import { invalidArgument } from './errors.ts';
import { quote } from './quote.ts';

export type Collection = 'topics' | 'subscriptions' | 'snapshots';

export interface ResourceName {
  readonly project: string;
  readonly id: string;
}

const nounByCollection = { topics: 'topic', subscriptions: 'subscription', snapshots: 'snapshot' } as const;

// google.pubsub.v1 Topic.name, Subscription.name: a letter, then 2..254 of these.
const idPattern = /^[A-Za-z][A-Za-z0-9\-_.~+%]{2,254}$/;
// Google's own rule (6..30 lower-case letters, digits, hyphens; `domain.com:` in front) is for projects that Google
// creates. Here projects are only a prefix, so the shorter and mixed names of test suites are welcome too.
const projectPattern = /^[A-Za-z0-9][A-Za-z0-9\-_.:]{0,99}$/;

/**
 * Takes `projects/{project}/{collection}/{id}` apart.
 * @throws PubSubError INVALID_ARGUMENT: which part is wrong and what is allowed.
 */
export function parseResourceName(collection: Collection, name: string): ResourceName {
  const noun = nounByCollection[collection];
  const [projects, project, middle, id, ...rest] = name.split('/');
  if (projects !== 'projects' || middle !== collection || id === undefined || rest.length > 0) {
    throw invalidArgument(
      `${quote(name)} is not a ${noun} name; it must read projects/{project}/${collection}/{${noun}}.`,
    );
  }
  checkProjectId(project!);
  checkId(noun, id);
  return { project: project!, id };
}

/** @throws PubSubError INVALID_ARGUMENT unless it reads `projects/{project}` */
export function checkProject(name: string): void {
  const [projects, project, ...rest] = name.split('/');
  if (projects !== 'projects' || project === undefined || rest.length > 0) {
    throw invalidArgument(`${quote(name)} is not a project; it must read projects/{project}.`);
  }
  checkProjectId(project);
}

function checkProjectId(project: string): void {
  if (projectPattern.test(project)) return;
  throw invalidArgument(
    `The project id ${quote(project)} is not allowed; use 1 to 100 letters, digits and - _ . : with a letter or digit first.`,
  );
}

function checkId(noun: string, id: string): void {
  if (!idPattern.test(id)) {
    throw invalidArgument(
      `The ${noun} id ${quote(id)} is not allowed; use 3 to 255 characters: a letter first, then letters, digits and - _ . ~ + %.`,
    );
  }
  if (id.startsWith('goog')) {
    throw invalidArgument(`The ${noun} id ${quote(id)} starts with "goog", which is reserved; choose another name.`);
  }
}

import type { PubSub } from '../../pubsub/pubsub.ts';
import type { Logger } from '../../telemetry/logger.ts';
import { acknowledgeMethods } from './acknowledge-methods.ts';
import type { ByteBudget } from './byte-budget.ts';
import type { HttpLimits } from './http-limits.ts';
import type { LongPolls } from './long-polls.ts';
import type { Method } from './method.ts';
import { publishMethod } from './publish-method.ts';
import { pullMethod } from './pull-method.ts';
import { snapshotMethods } from './snapshot-methods.ts';
import { subscriptionMethods } from './subscription-methods.ts';
import { topicMethods } from './topic-methods.ts';

interface MethodDeps {
  readonly pubsub: PubSub;
  readonly longPolls: LongPolls;
  readonly replies: ByteBudget;
  readonly limits: HttpLimits;
  readonly logger: Logger;
}

/** Every method that is served under /v1; a further family of methods is a further line. */
export function pubSubMethods({ pubsub, ...deps }: MethodDeps): Method[] {
  const { publisher, subscriber } = pubsub;
  return [
    ...topicMethods(pubsub.topics),
    publishMethod(publisher),
    ...subscriptionMethods(pubsub),
    pullMethod({ subscriber, ...deps }),
    ...acknowledgeMethods(subscriber),
    ...snapshotMethods(pubsub),
  ];
}

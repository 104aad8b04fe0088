import type { Logger } from '../../telemetry/logger.ts';
import type { Subscribe } from '../pubsub.ts';
import type { Schedule } from '../schedule.ts';
import type { OidcTokens } from './oidc-tokens.ts';
import type { PushBounds } from './push-bounds.ts';
import type { PushSender } from './push-sender.ts';
import type { PushTally } from './push-tally.ts';
import type { PushTurns } from './push-turns.ts';

/** What all subscriptions of a node push with. */
export interface PushParts {
  readonly subscriber: Pick<Subscribe, 'pull' | 'acknowledge' | 'modifyAckDeadline' | 'release'>;
  readonly sender: PushSender;
  readonly tokens: Pick<OidcTokens, 'token'>;
  readonly turns: PushTurns;
  readonly tally: PushTally;
  readonly clock: () => number;
  readonly schedule: Schedule;
  readonly logger: Logger;
  readonly bounds: PushBounds;
}

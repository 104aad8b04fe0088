import type { ConnectionRef, MqttStateEvents } from '../store/store.ts';
import type { MqttCounters } from './counters.ts';
import type { FanOut } from './fan-out.ts';
import type { Gate } from './gate.ts';
import type { Interests } from './interests.ts';
import { takenOver } from './refusal.ts';
import type { RetainedMessages } from './retained-messages.ts';
import type { Subscribers } from './subscribers.ts';
import type { UnreleasedMemory } from './unreleased-memory.ts';

export interface StateListeners {
  readonly subscribers: Subscribers;
  readonly interests: Interests;
  readonly retained: RetainedMessages;
  readonly unreleased: UnreleasedMemory;
  readonly fanOut: FanOut;
  readonly live: ReadonlyMap<string, Gate>;
  readonly counters: MqttCounters;
}

/** What the state tells, handed to those whom it concerns. */
export function stateEvents(listeners: StateListeners): MqttStateEvents {
  const { subscribers, interests, retained, unreleased, fanOut, live, counters } = listeners;
  const copies = [subscribers, interests, retained];
  return {
    onSession: (session) => subscribers.onSession(session),
    onSessionEnded(sessionId) {
      subscribers.onSessionEnded(sessionId);
      unreleased.forget(sessionId);
    },
    onReplaced: (connection) => replaced(live.get(connection.clientId), connection),
    onQueued: (sessionId) => subscribers.get(sessionId)?.link?.wake(),
    onRetained(topic, message) {
      readable(counters, () => retained.onRetained(topic, message));
    },
    onInterest: (node, filter, interested) => interests.onInterest(node, filter, interested),
    onNodeGone: (node) => interests.onNodeGone(node),
    onForwarded(message) {
      readable(counters, () => fanOut.onForwarded(message));
    },
    onReset() {
      for (const copy of copies) copy.onReset();
    },
    onCurrent() {
      for (const copy of copies) copy.onCurrent();
    },
  };
}

async function replaced(gate: Gate | undefined, { connection }: ConnectionRef): Promise<void> {
  if (gate?.connection !== connection) return;
  gate.refuse(takenOver());
  await gate.gone;
}

/** A node with a newer Headwater may write what this one cannot read. */
function readable(counters: MqttCounters, take: () => void): void {
  try {
    take();
  } catch {
    counters.dropped.unreadable++;
  }
}
